// Matrix product with the usual epilogue: out = activation(in W^T + bias) + residual.
//   in (T, K)   weight [N, K] packed   bias (N) or null   residual (T, N) or null, may be `out`   out (T, N)
// `in` and `out` do not overlap.
// gelu is the erf form, gelu_new the tanh form (Hendrycks and Gimpel 2016, arXiv:1606.08415).
#pragma once
#include <cstdint>

#include "ops/packed_matrix.h"

namespace fles {

enum class Activation : int32_t { kNone, kGelu, kGeluNew, kRelu };

struct LinearForward {
  const float* in;
  const PackedMatrix* weight;
  const float *bias, *residual;
  float* out;
  int T, N, K;
  Activation activation;
  Numerics numerics = Numerics::kBatchInvariant;
};

template <class Visitor>
void fields(Visitor& v, LinearForward& a) {
  v.size("T", a.T), v.size("N", a.N), v.size("K", a.K);
  v.choice("activation", a.activation, {"none", "gelu", "gelu_new", "relu"});
  v.optional_choice("numerics", a.numerics, {"batch_invariant", "fast"});
  v.input("in", a.in, int64_t{a.T} * a.K);
  v.weight("weight", a.weight, a.N, a.K);
  v.optional("bias", a.bias, int64_t{a.N});
  v.optional("residual", a.residual, int64_t{a.T} * a.N);
  v.output("out", a.out, int64_t{a.T} * a.N);
}

}  // namespace fles
