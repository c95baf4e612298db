#include "index/inverted_index.h"

#include <algorithm>
#include <cfloat>
#include <cinttypes>
#include <cstring>

#include "core/error.h"
#include "core/threads.h"
#include "index/xxh64.h"

namespace fles {
namespace {

[[noreturn]] void fail_structure(const std::string& path, const char* what, uint64_t place) {
  fail("ERR_INDEX_STRUCTURE", "%s: %s at %" PRIu64 "; build the index again", path.c_str(), what, place);
}

// Whether documents ascend strictly and weights are finite and > 0. Without branches, so that it is vectorised.
bool sound(const Segment& segment) {
  unsigned wrong = 0;
  for (uint32_t i = 1; i < segment.count; ++i) wrong |= segment.documents[i - 1] >= segment.documents[i];
  int range = 0;
  for (uint32_t i = 0; i < segment.count; ++i) {
    range |= static_cast<int>(!(segment.weights[i] > 0)) | static_cast<int>(!(segment.weights[i] <= FLT_MAX));
  }
  return wrong == 0 && range == 0;
}

}  // namespace

InvertedIndex::InvertedIndex(const std::string& path) : file_(path) {
  std::memcpy(&header_, file_.slice(0, sizeof header_, "the header"), sizeof header_);
  check_header(header_, file_.size(), path);
  layout_ = layout_of(header_);
  verify_checksums();

  document_ids_ = section<uint16_t>(kDocumentIds);
  weights_ = section<float>(kWeights);
  term_postings_ = section<uint64_t>(kTermPostings);
  term_segments_ = section<uint64_t>(kTermSegments);
  segment_blocks_ = section<uint16_t>(kSegmentBlocks);
  segment_begins_ = section<uint32_t>(kSegmentBegins);
  lexicon_offsets_ = section<uint64_t>(kLexiconOffsets);
  lexicon_text_ = section<char>(kLexiconText);
  name_offsets_ = section<uint64_t>(kNameOffsets);
  name_text_ = section<char>(kNameText);
  verify_offsets(term_postings_, terms(), postings(), "term postings");
  verify_offsets(term_segments_, terms(), header_.segments, "term segments");
  verify_offsets(lexicon_offsets_, terms(), header_.lexicon_bytes, "lexicon offsets");
  verify_offsets(name_offsets_, documents(), header_.names_bytes, "name offsets");
  constexpr uint64_t kTermsAtOnce = 64;
  ThreadPool::shared().parallel_for(static_cast<int64_t>((terms() + kTermsAtOnce - 1) / kTermsAtOnce),
                                    [&](int64_t group, int) {
                                      const uint64_t begin = static_cast<uint64_t>(group) * kTermsAtOnce;
                                      const uint64_t end = std::min(begin + kTermsAtOnce, terms());
                                      for (uint64_t t = begin; t < end; ++t) verify_term(static_cast<uint32_t>(t));
                                    });
}

void InvertedIndex::verify_checksums() const {
  IndexTrailer trailer;
  std::memcpy(&trailer, file_.data() + layout_.offset[kSections], sizeof trailer);
  if (trailer.checksum != xxh64(&trailer, offsetof(IndexTrailer, checksum))) {
    fail("ERR_INDEX_CHECKSUM", "%s: the trailer does not match its checksum; build the index again",
         file_.path().c_str());
  }
  for (int s = 0; s < kSections; ++s) {
    const uint64_t begin = layout_.offset[s], bytes = layout_.offset[s + 1] - begin;
    std::vector<uint64_t> chunks((bytes + kChecksumChunk - 1) / kChecksumChunk);
    ThreadPool::shared().parallel_for(static_cast<int64_t>(chunks.size()), [&](int64_t c, int) {
      const uint64_t from = static_cast<uint64_t>(c) * kChecksumChunk;
      chunks[static_cast<size_t>(c)] =
          xxh64(file_.data() + begin + from, static_cast<size_t>(std::min(kChecksumChunk, bytes - from)));
    });
    if (section_checksum(chunks) != trailer.checksums[s]) {
      fail("ERR_INDEX_CHECKSUM",
           "%s: section \"%s\" (bytes %" PRIu64 "..%" PRIu64 ") does not match its checksum; build the index again",
           file_.path().c_str(), kSectionNames[s], begin, begin + bytes);
    }
  }
}

void InvertedIndex::verify_offsets(const uint64_t* offsets, uint64_t count, uint64_t end, const char* what) const {
  if (offsets[0] != 0) fail_structure(file_.path(), what, 0);
  for (uint64_t i = 0; i < count; ++i) {
    if (offsets[i + 1] < offsets[i]) fail_structure(file_.path(), what, i + 1);
  }
  if (offsets[count] != end) fail_structure(file_.path(), what, count);
}

// Segments of a term cover its postings, none is empty, blocks ascend, and documents exist.
void InvertedIndex::verify_term(uint32_t term) const {
  const uint64_t first = first_segment(term), end = end_segment(term);
  const uint64_t count = term_postings_[term + 1] - term_postings_[term];
  if (first == end && count > 0) fail_structure(file_.path(), "a term without segments", term);
  const uint64_t block_documents = uint64_t{1} << block_bits();
  for (uint64_t s = first; s < end; ++s) {
    const uint64_t begin = segment_begins_[s], next = s + 1 < end ? segment_begins_[s + 1] : count;
    if (begin >= next || next > count || (s == first && begin != 0)) {
      fail_structure(file_.path(), "the length of a segment", s);
    }
    const uint64_t block = segment_blocks_[s];
    if (block >= blocks() || (s > first && block <= segment_blocks_[s - 1])) {
      fail_structure(file_.path(), "the block of a segment", s);
    }
    const Segment postings = segment(term, s);
    const uint64_t room = std::min(block_documents, documents() - block * block_documents);
    if (postings.documents[postings.count - 1] >= room || !sound(postings)) {
      fail_structure(file_.path(), "a document number or weight of the segment", s);
    }
  }
}

}  // namespace fles
