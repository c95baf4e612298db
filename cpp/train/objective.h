// The training objective over the pooled values of a step: the value of each of its terms, and the gradient of their
// weighted sum by the pooled values. docs/training.md has the formulas. A dense encoder's pooled values are its
// vectors, and its terms are those that compare vectors.
#pragma once
#include <cstdint>
#include <vector>

#include "model/encoder.h"
#include "train/report.h"

namespace fles {

struct ObjectiveOptions {
  int columns = 0;  // of the pooled values: V, or C for a dense encoder
  bool dense = false;
  SparsePooling pooling = SparsePooling::kMax;
  // A query is weight 1 for each distinct token that is not in `bag_dropped`, and has no gradient.
  bool bag_queries = false;
  std::vector<int32_t> dropped, bag_dropped;  // dropped: terms that no vector holds
};

class Objective {
 public:
  Objective(const Backend& backend, const ObjectiveOptions& options);

  // Floats that an evaluation of so many rows needs to work in: weights, which a dense encoder's pooled values are, and
  // their gradients.
  size_t workspace(int rows) const { return (dense_ ? 1 : 2) * static_cast<size_t>(rows) * V_; }

  // pooled, d_pooled (Q + D, columns) and the workspace in the backend's memory, queries first; rows of bag queries are
  // neither read nor written. d_pooled is assigned. ERR_LOSS_NOT_FINITE names the term; so does ERR_OPTION_RANGE where
  // a dense encoder has no such term.
  Losses evaluate(const TrainingBatch& batch, const ObjectiveSettings& settings, const float* pooled, float* d_pooled,
                  float* workspace);

 private:
  struct Step;  // one evaluation

  const Backend& backend_;
  int V_;  // columns
  bool dense_;
  WeightActivation activation_;
  bool bag_queries_;
  std::vector<uint8_t> bag_dropped_;  // (V)
  Buffer drop_;
  GrowingBuffer counts_, frequencies_, scores_, query_squares_, document_squares_, mask_, term_weights_, teacher_terms_,
      teacher_weights_, scalars_;
};

}  // namespace fles
