// Training steps of an encoder, sparse or dense: forward, losses, backward, AdamW.
//
// Texts go through the network in micro-batches. What they do not share, activations, exists for one micro-batch at a
// time; what the losses need of all texts, the pooled values, is kept for the whole step. With one micro-batch a step
// is a forward and a backward pass; with several, every one but the last goes forward twice (gradient caching; Gao et
// al. 2021, arXiv:2101.06983). Dropout is a function of seed, step, place and number of the text, so both passes agree.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "train/head.h"
#include "train/network.h"
#include "train/objective.h"
#include "train/report.h"
#include "train/trainable_model.h"

namespace fles {

struct TrainerOptions {
  int seed = 0;
  float dropout = 0, attention_dropout = 0;
  DataType product_type = DataType::kFloat32;  // or bfloat16; weights, gradients and moments are float32
  SparsePooling pooling = SparsePooling::kMax;
  std::optional<DensePooling> dense_pooling;  // a dense encoder: vectors of hidden states instead
  bool bag_queries = false;
  std::vector<int32_t> dropped, bag_dropped;
  int micro_batch_tokens = 4096;
  int kept_layers = 0;
  Initialize initialize = Initialize::kNone;
};

// Calls from several threads run one after the other. Errors of a step, ERR_LOSS_NOT_FINITE and ERR_ABORTED among them,
// leave weights and moments as they were.
class Trainer {
 public:
  Trainer(const Backend& backend, const ModelSource& source, TrainerOptions options);

  const Backend& backend() const { return model_.backend(); }
  const TrainableModel& model() const { return model_; }
  int64_t steps() const { return steps_; }
  size_t bytes() const;  // of all memory that it holds

  StepReport step(const TrainingBatch& batch, const ObjectiveSettings& objective, const UpdateSettings& update,
                  const std::atomic<bool>& cancelled);
  MaskedReport step_masked(const MaskedBatch& batch, const UpdateSettings& update, const std::atomic<bool>& cancelled);

  // The phases of step(), for several workers; lib/native.ts says how they go together. pooled: (texts, columns).
  // encode() and losses() end a gradient: it is 0 until backward() makes the next.
  std::vector<float> encode(Texts texts, std::vector<int32_t> text_ids, const std::atomic<bool>& cancelled);
  Losses losses(const TrainingBatch& batch, const ObjectiveSettings& objective, const std::vector<float>& pooled,
                std::vector<float>& gradients);
  void backward(const std::vector<float>& gradients, const std::atomic<bool>& cancelled);
  std::vector<float> gradients();
  void add_gradients(const std::vector<float>& gradients);
  UpdateReport update(const UpdateSettings& settings);

  // Takes `by` from the bias of every term. ERR_OPTION_RANGE unless it is finite; ERR_MODEL_HEAD.
  void lower_bias(float by);

  // A safetensors file, whole or not at all: the header, then `parts`: ARENA/NAME, ARENA one of weights, gradients,
  // first and second.
  void save(const std::string& path, const std::string& header, const std::vector<std::string>& parts);
  // After an error the weights are not defined: load another state.
  void load(const std::vector<std::string>& files, const std::vector<TensorSource>& tensors, int64_t steps);

 private:
  // Some of the texts under way, that go through the network together.
  struct Micro {
    int first, count;              // texts
    std::vector<int32_t> offsets;  // from 0
  };

  struct Masked;  // buffers of masked language modelling

  void begin(Texts texts, std::vector<int32_t> text_ids);
  MicroBatch micro_batch(const Micro& micro) const;
  int64_t columns() const { return head_->columns(); }
  void require_head() const;  // of masked language modelling: ERR_MODEL_HEAD
  void reserve_rows(int rows);
  void forward(int first_row, Need need, const std::atomic<bool>& cancelled);
  void backward_from(int first_row, const std::atomic<bool>& cancelled);
  void clear_gradients();
  void predict(Masked& m, const std::vector<int32_t>& rows, const std::vector<int32_t>& labels, int T, double scale,
               MaskedReport& report);
  Losses evaluate(const TrainingBatch& batch, const ObjectiveSettings& objective);
  UpdateReport apply(const UpdateSettings& settings);
  double norm_of(const float* values, int64_t count);
  size_t head_bytes() const;
  size_t masked_bytes() const;

  std::mutex one_call_;
  TrainerOptions options_;
  TrainableModel model_;
  Network network_;
  std::unique_ptr<Head> head_;
  Objective objective_;
  std::atomic<int64_t> steps_ = 0;  // read while a step is under way
  Seconds seconds_;                 // of the step under way

  // The texts under way. The network holds the activations of the last micro-batch while `live_`.
  Texts texts_;
  std::vector<int32_t> text_ids_;
  std::vector<Micro> micros_;
  bool live_ = false;
  bool encoded_ = false;  // all of them went through the network and the head

  // A row a text, with the columns of the head. Pooled values and what the losses work in are of no use once there are
  // gradients of the pooled values, and the gradients of the parameters only begin then: they take that memory where it
  // suffices, as it does for a large model.
  float *pooled_ = nullptr, *workspace_ = nullptr;
  GrowingBuffer d_pooled_, beside_;
  bool has_gradient_ = true;  // whether the memory of the gradients holds any
  std::shared_ptr<Masked> masked_;
  Buffer scalar_;
};

}  // namespace fles
