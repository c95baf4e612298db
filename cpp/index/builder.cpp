#include "index/builder.h"

#include <unistd.h>

#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/mapped_file.h"

namespace fles {

IndexBuilder::IndexBuilder(std::string directory, int block_bits, size_t max_gathered)
    : directory_(std::move(directory)), block_bits_(block_bits), max_gathered_(max_gathered) {
  if (block_bits < 0 || block_bits > kMaxBlockBits) {
    fail("ERR_ARGUMENT_VALUE", "block bits are %d, expected 0..%d", block_bits, kMaxBlockBits);
  }
  scratch_ = std::make_unique<FileWriter>(directory_ + "/postings.scratch");
}

void IndexBuilder::add_terms(const std::vector<std::string>& terms) {
  for (const std::string& term : terms) {
    const size_t before = lexicon_.size();
    lexicon_.add(term);
    if (lexicon_.size() == before) fail("ERR_TERM_DUPLICATE", "term \"%s\" is in the lexicon already", term.c_str());
  }
}

void IndexBuilder::append(const std::vector<std::string>& names, const std::vector<uint64_t>& offsets,
                          const std::vector<uint32_t>& terms, const std::vector<float>& weights) {
  if (offsets.size() != names.size() + 1 || offsets[0] != 0 || offsets.back() != terms.size() ||
      terms.size() != weights.size()) {
    fail("ERR_ARGUMENT_LENGTH", "offsets, names, terms and weights do not describe the same rows");
  }
  const uint64_t limit = max_documents(block_bits_);
  for (size_t i = 0; i < names.size(); ++i) {
    const uint64_t document = names_.size();
    if (document == limit) {
      fail("ERR_INDEX_FULL", "an index holds %llu documents at most; split the collection over several indexes",
           (unsigned long long)limit);
    }
    const uint32_t number = names_.add(names[i]);
    if (number != document) {
      fail("ERR_ID_DUPLICATE", "document %llu has the id \"%s\" of document %u; ids must be unique",
           (unsigned long long)document, names[i].c_str(), number);
    }
    if (offsets[i + 1] < offsets[i] || offsets[i + 1] > terms.size()) {
      fail("ERR_ARGUMENT_VALUE", "offsets do not ascend at row %zu", i);
    }
    for (size_t p = offsets[i]; p < offsets[i + 1]; ++p) {
      if (terms[p] >= lexicon_.size()) fail("ERR_ARGUMENT_VALUE", "term %u is not in the lexicon", terms[p]);
      if (!(weights[p] > 0) || !std::isfinite(weights[p])) {
        fail("ERR_WEIGHT_RANGE", "document \"%s\" has weight %g for term \"%s\", expected a finite number above 0",
             names[i].c_str(), weights[p], std::string(lexicon_.at(terms[p])).c_str());
      }
    }
    row_terms_.insert(row_terms_.end(), terms.begin() + offsets[i], terms.begin() + offsets[i + 1]);
    row_weights_.insert(row_weights_.end(), weights.begin() + offsets[i], weights.begin() + offsets[i + 1]);
    row_ends_.push_back(row_terms_.size());
    const bool block_is_full = names_.size() % (size_t{1} << block_bits_) == 0;
    if (block_is_full || row_terms_.size() >= max_gathered_) end_run();
  }
}

// Counting sort of the gathered rows by term; rows are visited in order, so documents ascend within a term.
void IndexBuilder::end_run() {
  const size_t count = row_terms_.size();
  const uint64_t first_document = names_.size() - row_ends_.size();
  const uint64_t first_in_block = first_document % (uint64_t{1} << block_bits_);
  std::vector<size_t> next(lexicon_.size() + 1);
  for (const uint32_t term : row_terms_) ++next[term + 1];
  Run run{static_cast<uint16_t>(first_document >> block_bits_), 0, 0, {}};
  for (size_t t = 0; t + 1 < next.size(); ++t) {
    if (next[t + 1] > 0) run.pieces.push_back({static_cast<uint32_t>(t), static_cast<uint32_t>(next[t + 1])});
  }
  std::partial_sum(next.begin(), next.end(), next.begin());
  std::vector<uint16_t> ids(count);
  std::vector<float> weights(count);
  std::vector<uint32_t> last(lexicon_.size(), UINT32_MAX);  // last row with the term
  size_t p = 0;
  for (size_t row = 0; row < row_ends_.size(); ++row) {
    for (; p < row_ends_[row]; ++p) {
      const uint32_t term = row_terms_[p];
      if (last[term] == row) {
        fail("ERR_TERM_DUPLICATE", "document \"%s\" has term \"%s\" twice; give each term one weight",
             std::string(names_.at(first_document + row)).c_str(), std::string(lexicon_.at(term)).c_str());
      }
      last[term] = static_cast<uint32_t>(row);
      const size_t to = next[term]++;
      ids[to] = static_cast<uint16_t>(first_in_block + row);
      weights[to] = row_weights_[p];
    }
  }
  run.ids_at = scratch_->position();
  scratch_->write(ids.data(), count * sizeof(uint16_t));
  run.weights_at = scratch_->position();
  scratch_->write(weights.data(), count * sizeof(float));
  runs_.push_back(std::move(run));
  postings_ += count;
  row_ends_.clear();
  row_terms_.clear();
  row_weights_.clear();
}

void IndexBuilder::finish(const std::string& destination, bool overwrite, const std::atomic<bool>& cancelled) {
  if (!row_ends_.empty()) end_run();
  scratch_->close();
  const std::string part = directory_ + "/index.part", whole = directory_ + "/" + kIndexFile;
  write_index(part, cancelled);
  if (::unlink((directory_ + "/postings.scratch").c_str()) != 0) fail_system("remove", directory_, errno);
  rename_durably(part, whole);
  // Another build may have been faster.
  if (::access(destination.c_str(), F_OK) != 0 && rename_directory_if_free(directory_, destination)) return;
  const std::string place = destination + "/" + kIndexFile;
  if (overwrite) {
    rename_durably(whole, place);
  } else if (!rename_if_free(whole, place)) {
    fail("ERR_INDEX_EXISTS", "%s has an index already; set overwrite to replace it", destination.c_str());
  }
}

void IndexBuilder::write_index(const std::string& path, const std::atomic<bool>& cancelled) {
  const size_t terms = lexicon_.size();
  // Pieces by term, then run: the order of documents.
  std::vector<uint64_t> term_postings(terms + 1), term_pieces(terms + 1);
  for (const Run& run : runs_) {
    for (const Piece& piece : run.pieces) {
      term_postings[piece.term + 1] += piece.count;
      ++term_pieces[piece.term + 1];
    }
  }
  std::partial_sum(term_pieces.begin(), term_pieces.end(), term_pieces.begin());
  const uint64_t pieces = term_pieces[terms];
  std::vector<uint32_t> piece_runs(pieces), piece_counts(pieces);
  {
    std::vector<uint64_t> next(term_pieces.begin(), term_pieces.end() - 1);
    for (size_t r = 0; r < runs_.size(); ++r) {
      for (const auto [term, count] : runs_[r].pieces) {
        const uint64_t p = next[term]++;
        piece_runs[p] = static_cast<uint32_t>(r);
        piece_counts[p] = count;
      }
      std::vector<Piece>().swap(runs_[r].pieces);
    }
  }
  // The pieces of a term in one block are a segment, which begins so many postings after the term's first.
  std::vector<uint64_t> term_segments(terms + 1);
  std::vector<uint16_t> segment_blocks;
  std::vector<uint32_t> segment_begins;
  segment_blocks.reserve(pieces);
  segment_begins.reserve(pieces);
  for (size_t t = 0; t < terms; ++t) {
    uint32_t begin = 0;
    for (uint64_t p = term_pieces[t]; p < term_pieces[t + 1]; ++p) {
      const uint16_t block = runs_[piece_runs[p]].block;
      if (segment_blocks.size() == term_segments[t] || segment_blocks.back() != block) {
        segment_blocks.push_back(block);
        segment_begins.push_back(begin);
      }
      begin += piece_counts[p];
    }
    term_segments[t + 1] = segment_blocks.size();
  }
  std::partial_sum(term_postings.begin(), term_postings.end(), term_postings.begin());

  IndexHeader header{};
  header.block_bits = static_cast<uint32_t>(block_bits_);
  header.documents = names_.size();
  header.terms = terms;
  header.postings = postings_;
  header.segments = segment_blocks.size();
  header.lexicon_bytes = lexicon_.text().size();
  header.names_bytes = names_.text().size();
  IndexWriter writer(path, header);

  const MappedFile scratch(directory_ + "/postings.scratch");
  // Terms ascend within each run of the scratch file, so every run is read from front to back.
  const auto copy = [&](size_t element, uint64_t Run::* at) {
    std::vector<uint64_t> cursors(runs_.size());
    for (size_t r = 0; r < runs_.size(); ++r) cursors[r] = runs_[r].*at;
    for (size_t p = 0; p < pieces; ++p) {
      if (p % 4096 == 0 && cancelled.load(std::memory_order_relaxed)) fail("ERR_ABORTED", "building was cancelled");
      uint64_t& cursor = cursors[piece_runs[p]];
      const uint64_t bytes = element * piece_counts[p];
      writer.write(scratch.slice(cursor, bytes, "a piece of the scratch file"), bytes);
      cursor += bytes;
    }
    writer.end_section();
  };
  const auto put = [&](const auto& values) {
    writer.write(values.data(), values.size() * sizeof values[0]);
    writer.end_section();
  };
  copy(sizeof(uint16_t), &Run::ids_at);
  copy(sizeof(float), &Run::weights_at);
  put(term_postings);
  put(term_segments);
  put(segment_blocks);
  put(segment_begins);
  put(lexicon_.offsets());
  put(lexicon_.text());
  put(names_.offsets());
  put(names_.text());
  writer.finish();
}

}  // namespace fles
