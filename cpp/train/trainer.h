// Training steps of a sparse encoder: forward, losses, backward, AdamW.
//
// Texts go through the network in micro-batches. What they do not share, activations, exists for one micro-batch at a
// time; what the losses need of all texts, the pooled logits, is kept for the whole step. With one micro-batch a step
// is a forward and a backward pass; with several, every one but the last goes forward twice (gradient caching; Gao et
// al. 2021, arXiv:2101.06983). Dropout is a function of seed, step, place and number of the text, so both passes agree.
#pragma once
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "model/encoder.h"
#include "train/report.h"
#include "train/trainable_model.h"

namespace fles {

struct TrainerOptions {
  int seed = 0;
  float dropout = 0, attention_dropout = 0;
  SparsePooling pooling = SparsePooling::kMax;
  bool bag_queries = false;
  std::vector<int32_t> dropped, bag_dropped;
  int micro_batch_tokens = 4096;
  int kept_layers = 0;
  Initialize initialize = Initialize::kNone;
};

class Trainer {
 public:
  Trainer(const Backend& backend, const ModelSource& source, TrainerOptions options);

  const Backend& backend() const { return model_.backend(); }
  const TrainableModel& model() const { return model_; }
  int64_t steps() const { return steps_; }
  size_t bytes() const;

  // Calls from several threads run one after the other. Errors of a step, ERR_LOSS_NOT_FINITE and ERR_ABORTED among
  // them, leave weights and moments as they were.
  StepReport step(const TrainingBatch& batch, const ObjectiveSettings& objective, const UpdateSettings& update,
                  const std::atomic<bool>& cancelled);
  MaskedReport step_masked(const MaskedBatch& batch, const UpdateSettings& update, const std::atomic<bool>& cancelled);

  // The phases of step(), for several workers. encode: pooled logits (texts, V).
  std::vector<float> encode(Texts texts, std::vector<int32_t> text_ids, const std::atomic<bool>& cancelled);
  Losses losses(const TrainingBatch& batch, const ObjectiveSettings& objective, const std::vector<float>& pooled,
                std::vector<float>& gradients);
  void backward(const std::vector<float>& gradients, const std::atomic<bool>& cancelled);
  std::vector<float> gradients();
  void add_gradients(const std::vector<float>& gradients);
  UpdateReport update(const UpdateSettings& settings);

  void save(const std::string& path, const std::string& header, const std::vector<std::string>& parts);
  void load(const std::vector<std::string>& files, const std::vector<TensorSource>& tensors, int64_t steps);

 private:
  std::mutex one_call_;
  TrainerOptions options_;
  TrainableModel model_;
  int64_t steps_ = 0;
};

}  // namespace fles
