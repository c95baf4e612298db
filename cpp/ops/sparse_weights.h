// Pooled values to the weights of sparse vectors, dense, as losses read them.
//   pooled      (B, V)   as sparse_head left them
//   drop        (V)      bytes, 1 for a term that no vector holds, or null
//   activation           as in ops/topk_threshold.h
//   weights     (B, V)   activation of the positive ones, else 0; the same bits as topk_threshold's
//   counts      (B)      terms with a weight above 0 in each row
//   frequencies (V)      rows with a weight above 0 for each term
#pragma once
#include <cstdint>

#include "ops/topk_threshold.h"

namespace fles {

struct SparseWeightsForward {
  const float* pooled;
  const uint8_t* drop;
  float* weights;
  int32_t *counts, *frequencies;
  int B, V;
  WeightActivation activation;
};

template <class Visitor>
void fields(Visitor& v, SparseWeightsForward& a) {
  v.size("B", a.B), v.size("V", a.V);
  v.choice("activation", a.activation, {"log1p", "log1p_log1p", "none"});
  v.input("pooled", a.pooled, int64_t{a.B} * a.V);
  v.optional("drop", a.drop, int64_t{a.V});
  v.output("weights", a.weights, int64_t{a.B} * a.V);
  v.output("counts", a.counts, int64_t{a.B});
  v.output("frequencies", a.frequencies, int64_t{a.V});
}

}  // namespace fles
