// Token ids to sparse rows or dense vectors: the model, its head and the compaction to CSR.
#pragma once
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "model/bert_forward.h"
#include "model/parameters.h"
#include "model/screen.h"

namespace fles {

enum class SparsePooling : int32_t { kMax, kSum, kLog1pLog1p, kSumLog1pLog1p };

// What the head computes of a pooling, and what is left to do with its values.
HeadPooling head_pooling_of(SparsePooling pooling);
WeightActivation activation_of(SparsePooling pooling);

struct SparseOptions {
  SparsePooling pooling = SparsePooling::kMax;
  float threshold = 0.0f;        // keeps weights > threshold
  int top_k = 0;                 // at most this many terms a row; 0: all
  std::vector<int32_t> dropped;  // term ids that are never kept
};

struct DenseOptions {
  DensePooling pooling = DensePooling::kMean;
  bool normalize = false;
};

// Rows in CSR form: row b is terms[offsets[b]..offsets[b+1]), ascending, with weights > 0.
struct SparseRows {
  std::vector<int64_t> offsets;
  std::vector<int32_t> terms;
  std::vector<float> weights;
};

class Encoder {
 public:
  Encoder(const Backend& backend, const ModelSource& source);

  const ModelConfig& config() const { return parameters_.config; }
  const Backend& backend() const { return backend_; }
  size_t weight_bytes() const { return parameters_.bytes; }

  // Texts with no more tokens than config().max_positions, each id below the vocabulary size: ERR_TOKEN_RANGE,
  // ERR_LENGTH_RANGE. Calls from several threads are computed one after the other.
  //
  // start_ computes, or queues where the backend does, and returns what waits for the results and collects them: to be
  // called once, on any thread, or dropped, while the encoder is there. Two batches may be under way, so that one is
  // arranged and another collected while a device computes; a third start_ waits for the end of one of them.
  std::function<SparseRows()> start_sparse(const RaggedBatch& batch, const SparseOptions& options,
                                           const std::atomic<bool>& cancelled);
  SparseRows encode_sparse(const RaggedBatch& batch, const SparseOptions& options, const std::atomic<bool>& cancelled);
  // (B, hidden size), row after row.
  std::function<std::vector<float>()> start_dense(const RaggedBatch& batch, const DenseOptions& options,
                                                  const std::atomic<bool>& cancelled);
  std::vector<float> encode_dense(const RaggedBatch& batch, const DenseOptions& options,
                                  const std::atomic<bool>& cancelled);

 private:
  // The results of one batch until they are collected. All else that a batch writes, the next one may write over, since
  // its work comes behind.
  struct Results {
    std::shared_ptr<Mark> complete;
    GrowingBuffer offsets, terms, weights;  // dense vectors are in weights
    bool taken = false;
  };
  std::shared_ptr<Results> take_results();  // given back when it is dropped
  // Pooled logits of a batch, (B, V): those that can be above the threshold, at least.
  const float* pool(const RaggedBatch& batch, const SparseOptions& options, const float* transformed);
  const uint8_t* drop(const SparseOptions& options);

  const Backend& backend_;
  Parameters parameters_;
  bool with_head_;
  std::mutex one_call_;
  Workspace workspace_;
  GrowingBuffer pooled_, drop_, candidates_;
  Screen screen_;

  std::array<Results, 2> results_;
  std::mutex results_lock_;
  std::condition_variable results_free_;
};

}  // namespace fles
