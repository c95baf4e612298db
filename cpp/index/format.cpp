#include "index/format.h"

#include <algorithm>
#include <cinttypes>
#include <cstddef>
#include <cstring>

#include "core/error.h"
#include "index/xxh64.h"

namespace fles {

const char* const kSectionNames[kSections] = {"document ids",   "weights",        "term postings",   "term segments",
                                              "segment blocks", "segment begins", "lexicon offsets", "lexicon text",
                                              "name offsets",   "name text"};

namespace {
uint64_t header_checksum(const IndexHeader& header) { return xxh64(&header, offsetof(IndexHeader, checksum)); }
uint64_t aligned(uint64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }
}  // namespace

IndexLayout layout_of(const IndexHeader& h) {
  IndexLayout layout{};
  layout.bytes = {2 * h.postings, 4 * h.postings,    8 * (h.terms + 1), 8 * (h.terms + 1),     2 * h.segments,
                  4 * h.segments, 8 * (h.terms + 1), h.lexicon_bytes,   8 * (h.documents + 1), h.names_bytes};
  layout.offset[0] = sizeof(IndexHeader);
  for (int s = 0; s < kSections; ++s) layout.offset[s + 1] = layout.offset[s] + aligned(layout.bytes[s]);
  layout.file_bytes = layout.offset[kSections] + sizeof(IndexTrailer);
  return layout;
}

void check_header(const IndexHeader& header, uint64_t file_bytes, const std::string& path) {
  if (std::memcmp(header.magic, kIndexMagic, sizeof kIndexMagic) != 0) {
    fail("ERR_INDEX_MAGIC", "%s does not begin with \"FLESINDX\": it is not an index; check the path", path.c_str());
  }
  if (header.version != kIndexVersion) {
    fail("ERR_INDEX_VERSION",
         "%s has format version %" PRIu32 ", this build reads version %" PRIu32
         "; build the index again from its vectors",
         path.c_str(), header.version, kIndexVersion);
  }
  if (header.checksum != header_checksum(header)) {
    fail("ERR_INDEX_CHECKSUM", "%s: the header does not match its checksum; build the index again", path.c_str());
  }
  const auto check = [&](const char* name, uint64_t value, uint64_t limit) {
    if (value > limit) {
      fail("ERR_INDEX_HEADER",
           "%s: the header says %s is %" PRIu64 ", expected at most %" PRIu64 "; build the index again", path.c_str(),
           name, value, limit);
    }
  };
  constexpr uint64_t kMax = uint64_t{1} << 48;  // keeps the sums of the layout far from overflow
  check("block bits", header.block_bits, kMaxBlockBits);
  check("documents", header.documents, max_documents(static_cast<int>(header.block_bits)));
  check("terms", header.terms, UINT32_MAX);
  check("postings", header.postings, kMax);
  check("segments", header.segments, header.postings);
  check("lexicon bytes", header.lexicon_bytes, kMax);
  check("names bytes", header.names_bytes, kMax);
  const uint64_t expected = layout_of(header).file_bytes;
  if (file_bytes != expected) {
    fail("ERR_FILE_TRUNCATED", "%s has %" PRIu64 " bytes, its header says %" PRIu64 "; copy or build the index again",
         path.c_str(), file_bytes, expected);
  }
}

uint64_t section_checksum(const std::vector<uint64_t>& chunks) { return xxh64(chunks.data(), chunks.size() * 8); }

IndexWriter::IndexWriter(const std::string& path, IndexHeader header) : file_(path), layout_(layout_of(header)) {
  std::memcpy(header.magic, kIndexMagic, sizeof kIndexMagic);
  header.version = kIndexVersion;
  header.checksum = header_checksum(header);
  file_.write(&header, sizeof header);
  chunk_.reserve(kChecksumChunk);
}

void IndexWriter::write(const void* data, size_t bytes) {
  const auto* from = static_cast<const uint8_t*>(data);
  while (bytes > 0) {
    const size_t part = std::min<size_t>(bytes, kChecksumChunk - chunk_.size());
    chunk_.insert(chunk_.end(), from, from + part);
    from += part;
    bytes -= part;
    if (chunk_.size() == kChecksumChunk) end_chunk();
  }
}

void IndexWriter::end_chunk() {
  chunk_checksums_.push_back(xxh64(chunk_.data(), chunk_.size()));
  file_.write(chunk_.data(), chunk_.size());
  chunk_.clear();
}

void IndexWriter::end_section() {
  const uint64_t end = layout_.offset[section_ + 1];
  const uint64_t here = file_.position() + chunk_.size();
  if (here > end || end - here >= kAlignment) {
    fail("ERR_INTERNAL", "section \"%s\" ends at %" PRIu64 ", expected %" PRIu64, kSectionNames[section_], here, end);
  }
  const uint8_t zeros[kAlignment] = {};
  write(zeros, end - here);
  if (!chunk_.empty()) end_chunk();
  trailer_.checksums[section_++] = section_checksum(chunk_checksums_);
  chunk_checksums_.clear();
}

void IndexWriter::finish() {
  trailer_.checksum = xxh64(&trailer_, offsetof(IndexTrailer, checksum));
  file_.write(&trailer_, sizeof trailer_);
  file_.sync();
}

}  // namespace fles
