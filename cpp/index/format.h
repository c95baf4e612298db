// The layout of an index file; docs/format.md describes it byte by byte.
//
// The header holds the counts; where every section begins and ends follows from them, so no offset can lie. The trailer
// holds a checksum a section. Integers are little-endian.
#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "core/file_writer.h"

namespace fles {

static_assert(std::endian::native == std::endian::little, "index files are mapped as they are: little-endian only");

constexpr char kIndexFile[] = "index.fles";
constexpr char kIndexMagic[8] = {'F', 'L', 'E', 'S', 'I', 'N', 'D', 'X'};
constexpr uint32_t kIndexVersion = 1;
constexpr int kBlockBits = 15;     // documents of a block, as a power of two; measured in docs/search.md
constexpr int kMaxBlockBits = 16;  // a document's number within its block is a uint16
constexpr uint64_t kAlignment = 64;
constexpr uint64_t kChecksumChunk = 1 << 20;

struct IndexHeader {
  char magic[8];
  uint32_t version;
  uint32_t block_bits;
  uint64_t documents, terms, postings;
  uint64_t segments;  // (term, block) pairs with postings
  uint64_t lexicon_bytes, names_bytes;
  uint64_t reserved[7];  // 0
  uint64_t checksum;     // XXH64 of the bytes before
};
static_assert(sizeof(IndexHeader) == 128);

enum Section {
  kDocumentIds,     // uint16[postings]     number within the block; by term, then block, then document
  kWeights,         // float32[postings]    beside document ids
  kTermPostings,    // uint64[terms + 1]    first posting of each term
  kTermSegments,    // uint64[terms + 1]    first segment of each term
  kSegmentBlocks,   // uint16[segments]     block number, ascending within a term
  kSegmentBegins,   // uint32[segments]     first posting, counted from the term's first
  kLexiconOffsets,  // uint64[terms + 1]    into the lexicon's text
  kLexiconText,     // UTF-8
  kNameOffsets,     // uint64[documents + 1]
  kNameText,        // UTF-8
  kSections,
};
extern const char* const kSectionNames[kSections];

struct IndexTrailer {
  uint64_t checksums[kSections];  // of each section with its padding, see section_checksum
  uint64_t checksum;              // XXH64 of the bytes before
};

// Where sections lie: section s is bytes offset[s] .. offset[s] + bytes[s], then zeros up to offset[s + 1].
struct IndexLayout {
  std::array<uint64_t, kSections> bytes;
  std::array<uint64_t, kSections + 1> offset;  // the last is the trailer's
  uint64_t file_bytes;
};

// Counts must be in their ranges, so that sums do not overflow: see check_header.
IndexLayout layout_of(const IndexHeader& header);

// Block numbers are uint16.
constexpr uint64_t max_documents(int block_bits) { return (uint64_t{1} << (block_bits + 16)) - 1; }

// Number of blocks that `documents` fill.
inline uint64_t blocks_of(uint64_t documents, int block_bits) {
  return (documents + (1ULL << block_bits) - 1) >> block_bits;
}

// Magic, version, checksum and ranges of a header read from `path`, a file of `file_bytes` (at least a header's).
void check_header(const IndexHeader& header, uint64_t file_bytes, const std::string& path);

// Checksum of a section from the XXH64 of each of its chunks of kChecksumChunk bytes.
uint64_t section_checksum(const std::vector<uint64_t>& chunks);

// Writes header, sections in order, and trailer.
class IndexWriter {
 public:
  IndexWriter(const std::string& path, IndexHeader header);  // fills magic, version and checksum
  void write(const void* data, size_t bytes);                // the next bytes of the current section
  void end_section();                                        // pads; every byte promised by the header must have come
  void finish();                                             // trailer and sync

 private:
  void end_chunk();
  FileWriter file_;
  IndexLayout layout_;
  IndexTrailer trailer_{};
  int section_ = 0;
  std::vector<uint8_t> chunk_;
  std::vector<uint64_t> chunk_checksums_;
};

}  // namespace fles
