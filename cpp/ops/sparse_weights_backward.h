// Gradient of ops/sparse_weights.h, added to that of other losses.
//   pooled    (B, V)   drop (V) or null   activation   of the forward pass
//   d_weights (B, V)
//   d_pooled  (B, V)   accumulated: += d_weights * activation'(pooled) where pooled > 0 and the term is not dropped
//   squares   (1)      sum of squares of what was added, summed in double in one fixed order
#pragma once
#include <cstdint>

#include "ops/topk_threshold.h"

namespace fles {

struct SparseWeightsBackward {
  const float* pooled;
  const uint8_t* drop;
  const float* d_weights;
  float *d_pooled, *squares;
  int B, V;
  WeightActivation activation;
};

template <class Visitor>
void fields(Visitor& v, SparseWeightsBackward& a) {
  v.size("B", a.B), v.size("V", a.V);
  v.choice("activation", a.activation, {"log1p", "log1p_log1p", "none"});
  v.input("pooled", a.pooled, int64_t{a.B} * a.V);
  v.optional("drop", a.drop, int64_t{a.V});
  v.input("d_weights", a.d_weights, int64_t{a.B} * a.V);
  v.output("d_pooled", a.d_pooled, int64_t{a.B} * a.V);
  v.output("squares", a.squares, 1);
}

}  // namespace fles
