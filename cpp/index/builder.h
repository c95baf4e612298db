// Builds an index file from sparse rows that come in batches.
//
// Rows are gathered until a block of documents is full; the block's postings are then sorted by term and put into a
// scratch file. `finish` copies each term's segments together. Memory: one block of rows, the names and the lexicon,
// and 18 bytes a (term, block) pair; disk: the index twice while it is built.
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "index/format.h"
#include "index/string_table.h"

namespace fles {

class IndexBuilder {
 public:
  // Works in `directory`, which must exist and is the caller's to remove.
  explicit IndexBuilder(std::string directory, int block_bits = kBlockBits);

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
  struct Segment {
    uint32_t term, count;
  };
  struct Block {
    uint64_t ids_at, weights_at;    // in the scratch file
    std::vector<Segment> segments;  // terms ascending
  };

  void end_block();
  void write_index(const std::string& path, const std::atomic<bool>& cancelled);

  std::string directory_;
  int block_bits_;
  StringTable names_, lexicon_;
  std::unique_ptr<FileWriter> scratch_;
  uint64_t postings_ = 0;
  std::vector<Block> blocks_;  // finished ones

  // Rows of the block being gathered.
  std::vector<size_t> row_ends_;
  std::vector<uint32_t> row_terms_;
  std::vector<float> row_weights_;
};

}  // namespace fles
