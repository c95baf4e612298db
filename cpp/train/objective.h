// The training objective over the pooled values of a step: the value of each of its terms, and the gradient of their
// weighted sum by the pooled values. docs/training.md has the formulas.
#pragma once
#include <cstdint>
#include <vector>

#include "model/encoder.h"
#include "train/report.h"

namespace fles {

class Objective {
 public:
  // `dropped`: terms that no vector holds. With bag queries a query is weight 1 for each distinct token that is not in
  // `bag_dropped`, and has no gradient.
  Objective(const Backend& backend, int vocabulary_size, SparsePooling pooling, const std::vector<int32_t>& dropped,
            bool bag_queries, const std::vector<int32_t>& bag_dropped);

  // pooled, d_pooled (Q + D, V) in the backend's memory, queries first; rows of bag queries are neither read nor
  // written. d_pooled is assigned. ERR_LOSS_NOT_FINITE names the term.
  Losses evaluate(const TrainingBatch& batch, const ObjectiveSettings& settings, const float* pooled, float* d_pooled);

  size_t bytes() const { return 2 * capacity_ * V_ * sizeof(float); }

 private:
  struct Step;  // one evaluation
  void reserve(int rows);
  Buffer uploaded(const void* values, size_t count) const;  // of 4 bytes each

  const Backend& backend_;
  int V_;
  WeightActivation activation_;
  bool bag_queries_;
  std::vector<uint8_t> bag_dropped_;  // (V)
  Buffer drop_;
  size_t capacity_ = 0;
  Buffer weights_, d_weights_;  // (Q + D, V)
};

}  // namespace fles
