// An index file, mapped and verified: what a search may read without checking anything again.
//
// Postings of a term lie together, ordered by document. They are cut into segments, one a block of 2^block_bits
// documents; a posting is the document's number within its block (uint16) and a weight (float32), in two arrays.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "core/mapped_file.h"
#include "index/format.h"

namespace fles {

// Postings of one term in one block.
struct Segment {
  const uint16_t* documents;  // within the block, ascending
  const float* weights;       // finite, > 0
  uint32_t count;
};

class InvertedIndex {
 public:
  // Verifies the whole file: header, lengths, checksums, and that every number read by a search is in its range, so
  // that a damaged or forged file is an Error (ERR_INDEX_MAGIC, _VERSION, _HEADER, _CHECKSUM, _STRUCTURE,
  // ERR_FILE_TRUNCATED) and never a crash. Uses the compute pool.
  explicit InvertedIndex(const std::string& path);

  uint64_t documents() const { return header_.documents; }
  uint64_t terms() const { return header_.terms; }
  uint64_t postings() const { return header_.postings; }
  int block_bits() const { return static_cast<int>(header_.block_bits); }
  uint64_t blocks() const { return blocks_of(header_.documents, block_bits()); }
  const IndexLayout& layout() const { return layout_; }

  std::string_view term(uint64_t i) const { return string_at(lexicon_offsets_, lexicon_text_, i); }
  std::string_view name(uint64_t document) const { return string_at(name_offsets_, name_text_, document); }

  uint64_t first_segment(uint32_t term) const { return term_segments_[term]; }
  uint64_t end_segment(uint32_t term) const { return term_segments_[term + 1]; }
  uint16_t block_of(uint64_t segment) const { return segment_blocks_[segment]; }
  Segment segment(uint32_t term, uint64_t segment) const {
    const uint64_t base = term_postings_[term], begin = base + segment_begins_[segment];
    const uint64_t end =
        segment + 1 < term_segments_[term + 1] ? base + segment_begins_[segment + 1] : term_postings_[term + 1];
    return {document_ids_ + begin, weights_ + begin, static_cast<uint32_t>(end - begin)};
  }

 private:
  void verify_checksums() const;
  void verify_offsets(const uint64_t* offsets, uint64_t count, uint64_t end, const char* what) const;
  void verify_term(uint32_t term) const;
  template <class T>
  const T* section(Section s) const {
    return reinterpret_cast<const T*>(file_.data() + layout_.offset[s]);
  }
  static std::string_view string_at(const uint64_t* offsets, const char* text, uint64_t i) {
    return {text + offsets[i], offsets[i + 1] - offsets[i]};
  }

  MappedFile file_;
  IndexHeader header_{};
  IndexLayout layout_{};
  const uint16_t* document_ids_ = nullptr;
  const float* weights_ = nullptr;
  const uint64_t* term_postings_ = nullptr;
  const uint64_t* term_segments_ = nullptr;
  const uint16_t* segment_blocks_ = nullptr;
  const uint32_t* segment_begins_ = nullptr;
  const uint64_t* lexicon_offsets_ = nullptr;
  const char* lexicon_text_ = nullptr;
  const uint64_t* name_offsets_ = nullptr;
  const char* name_text_ = nullptr;
};

}  // namespace fles
