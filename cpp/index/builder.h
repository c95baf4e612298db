// Builds an index file from sparse rows that come in batches.
//
// Rows are gathered until a block of documents is full, or kMaxGathered postings are there; this run of postings is
// then sorted by term and put into a scratch file. `finish` copies the pieces of each term together. Memory: the
// postings of one run, 14 bytes each, the names and the lexicon, and 16 bytes a (term, run) pair; disk: the index twice
// while it is built.
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "index/format.h"
#include "index/string_table.h"

namespace fles {

// Postings that are gathered in memory, but for the last row's: more than a block of ordinary documents has.
constexpr size_t kMaxGathered = size_t{1} << 23;

class IndexBuilder {
 public:
  // Works in `directory`, which must exist and is the caller's to remove.
  explicit IndexBuilder(std::string directory, int block_bits = kBlockBits, size_t max_gathered = kMaxGathered);

  // Extends the lexicon; a term's id is its position in it.
  void add_terms(const std::vector<std::string>& terms);

  // Row i is terms[offsets[i] .. offsets[i + 1]) with the weights beside them, in any order of terms. Refuses, leaving
  // the builder unusable: a name or a term of a row that came before (ERR_ID_DUPLICATE, ERR_TERM_DUPLICATE), a weight
  // that is not finite and > 0 (ERR_WEIGHT_RANGE).
  void append(const std::vector<std::string>& names, const std::vector<uint64_t>& offsets,
              const std::vector<uint32_t>& terms, const std::vector<float>& weights);

  // Writes the index, durably, and gives it its place: `destination` is made by renaming the builder's directory or,
  // where it exists, its index file is put or replaced by renaming. Either way the old or the new index is whole. An
  // index that stands there is replaced only to `overwrite` it (ERR_INDEX_EXISTS).
  void finish(const std::string& destination, bool overwrite, const std::atomic<bool>& cancelled);

 private:
  // Postings of one term in a run.
  struct Piece {
    uint32_t term, count;
  };
  // Documents of one block that follow each other.
  struct Run {
    uint16_t block;
    uint64_t ids_at, weights_at;  // in the scratch file
    std::vector<Piece> pieces;    // terms ascending
  };

  void end_run();
  void write_index(const std::string& path, const std::atomic<bool>& cancelled);

  std::string directory_;
  int block_bits_;
  size_t max_gathered_;
  StringTable names_, lexicon_;
  std::unique_ptr<FileWriter> scratch_;
  uint64_t postings_ = 0;
  std::vector<Run> runs_;  // finished ones

  // Rows of the run being gathered.
  std::vector<size_t> row_ends_;
  std::vector<uint32_t> row_terms_;
  std::vector<float> row_weights_;
};

}  // namespace fles
