// The definition of search, as a program: every score, then the best. What other algorithms are compared with.
#pragma once
#include "index/search/top_k.h"

namespace fles {

inline std::vector<Hit> search_exhaustive(const InvertedIndex& index, const Query& query, size_t k,
                                          const std::atomic<bool>& cancelled) {
  std::vector<float> scores(index.blocks() << index.block_bits());
  for (size_t i = 0; i < query.count; ++i) {
    stop_if(cancelled);
    const uint32_t term = query.terms[i];
    for (uint64_t s = index.first_segment(term); s < index.end_segment(term); ++s) {
      float* block = scores.data() + (size_t{index.block_of(s)} << index.block_bits());
      add_postings(block, index.segment(term, s), query.weights[i]);
    }
  }
  std::vector<Hit> hits;
  for (size_t d = 0; d < scores.size(); ++d) {
    if (scores[d] > 0) hits.push_back({static_cast<uint32_t>(d), scores[d]});
  }
  std::sort(hits.begin(), hits.end(), ranks_before);
  if (hits.size() > k) hits.resize(k);
  return hits;
}

}  // namespace fles
