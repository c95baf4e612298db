// Term-at-a-time accumulation over blocks of documents.
//
// The scores of one block stay in the cache while the query's terms are added one after another; then the block is
// scanned for scores that reach the k best so far. Nothing is pruned: learned weights are so even that bounds rarely
// exclude a block. The idea: windowed accumulation in SINDI (Li et al. 2025, arXiv:2509.08395).
#pragma once
#include <cstring>

#include "index/search/top_k.h"

namespace fles {
namespace detail {

// Offers every score of the block that can be among the best, and sets the block to 0. `count` is a multiple of
// kScanned. Few chunks hold a good score, so one test a chunk, vectorised, decides most.
constexpr size_t kScanned = 32;
inline void scan_block(float* scores, size_t count, uint32_t first_document, TopK& best) {
  for (size_t at = 0; at < count; at += kScanned) {
    const float* chunk = scores + at;
    const float bound = best.bound();
    int reached = 0;
    for (size_t i = 0; i < kScanned; ++i) reached |= -static_cast<int>(chunk[i] >= bound);
    if (reached == 0) continue;
    for (size_t i = 0; i < kScanned; ++i) {
      if (chunk[i] >= best.bound()) best.offer({first_document + static_cast<uint32_t>(at + i), chunk[i]});
    }
  }
  std::memset(scores, 0, count * sizeof(float));
}

// A block with fewer postings than this part of its documents is not worth a scan.
constexpr size_t kScanPays = 8;

// The same by visiting only documents that have a posting: less work when a block has few.
inline void collect_postings(float* scores, const Segment& postings, uint32_t first_document, TopK& best) {
  for (uint32_t i = 0; i < postings.count; ++i) {
    float& score = scores[postings.documents[i]];
    if (score >= best.bound()) best.offer({first_document + postings.documents[i], score});
    score = 0;
  }
}

}  // namespace detail

inline std::vector<Hit> search_block_accumulation(const InvertedIndex& index, const Query& query, size_t k,
                                                  const std::atomic<bool>& cancelled) {
  const size_t in_block = std::min<size_t>(index.documents(), size_t{1} << index.block_bits());
  const size_t scanned = (in_block + detail::kScanned - 1) / detail::kScanned * detail::kScanned;
  std::vector<float> scores(scanned);
  std::vector<uint64_t> cursors(query.count);
  for (size_t i = 0; i < query.count; ++i) cursors[i] = index.first_segment(query.terms[i]);
  std::vector<Segment> found(query.count);
  TopK best(k);
  for (uint64_t block = 0; block < index.blocks(); ++block) {
    stop_if(cancelled);
    size_t segments = 0, postings = 0;
    for (size_t i = 0; i < query.count; ++i) {
      const uint32_t term = query.terms[i];
      uint64_t& cursor = cursors[i];
      if (cursor == index.end_segment(term) || index.block_of(cursor) != block) continue;
      const Segment segment = index.segment(term, cursor++);
      add_postings(scores.data(), segment, query.weights[i]);
      found[segments++] = segment;
      postings += segment.count;
    }
    const auto first_document = static_cast<uint32_t>(block << index.block_bits());
    if (postings * detail::kScanPays > scanned) {
      detail::scan_block(scores.data(), scanned, first_document, best);
    } else {
      for (size_t i = 0; i < segments; ++i) detail::collect_postings(scores.data(), found[i], first_document, best);
    }
  }
  return best.take();
}

}  // namespace fles
