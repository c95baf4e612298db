// Gradients of the vocabulary projection fused with pooling, ops/sparse_head.h. The (T, V) logits and their gradient
// never exist: with max pooling a term has a gradient at one row of a text alone, with sums the logits are computed
// again, some terms at a time.
//   d_pooled (B, V)    gradient of pooled; where it is 0 it costs nothing (max)
//   argmax   (B, V)    max only, else null: what the forward pass gave, -1 or rows of the text
//   in       (T, C)    what the forward pass read     weight (V, C) plain rows     bias (V)     offsets (B + 1)
//   d_in     (T, C)    assigned       d_weight (V, C), d_bias (V)  accumulated
// With d_z[t, v] = d_pooled[b, v] where argmax[b, v] = t, else 0 (max), d_pooled[b, v] / (1 + z) where z > 0, else 0
// (sum), or that / (1 + log1p(z)) (sum_log1p):
//   d_in = d_z weight      d_weight += d_z^T in      d_bias += sum over rows of d_z
// Sums are formed in one fixed order, whatever the number of threads.
#pragma once
#include <cstdint>

#include "ops/sparse_head.h"

namespace fles {

struct SparseHeadBackward {
  const float* d_pooled;
  const int32_t* argmax;
  const float *in, *weight, *bias;
  const int32_t* offsets;
  float *d_in, *d_weight, *d_bias;
  int B, T, C, V;
  HeadPooling pooling;
};

template <class Visitor>
void fields(Visitor& v, SparseHeadBackward& a) {
  v.size("B", a.B), v.size("T", a.T), v.size("C", a.C), v.size("V", a.V);
  v.choice("pooling", a.pooling, {"max", "sum", "sum_log1p"});
  v.input("d_pooled", a.d_pooled, int64_t{a.B} * a.V);
  v.optional("argmax", a.argmax, int64_t{a.B} * a.V);
  v.input("in", a.in, int64_t{a.T} * a.C);
  v.input("weight", a.weight, int64_t{a.V} * a.C);
  v.input("bias", a.bias, int64_t{a.V});
  v.host("offsets", a.offsets, int64_t{a.B} + 1);
  v.output("d_in", a.d_in, int64_t{a.T} * a.C);
  v.output("d_weight", a.d_weight, int64_t{a.V} * a.C);
  v.output("d_bias", a.d_bias, int64_t{a.V});
}

}  // namespace fles
