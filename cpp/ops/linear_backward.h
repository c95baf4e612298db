// Gradients of out = in W^T + bias.
//   d_out    (T, N)   gradient of out
//   in       (T, K)   what the forward pass read; needed for d_weight, else null
//   weight   (N, K)   plain rows, as the optimizer holds them; needed for d_in, else null
//   d_in     (T, K)   assigned: d_out W, or null
//   d_weight (N, K)   accumulated: += d_out^T in, or null
//   d_bias   (N)      accumulated: += sum over rows of d_out, or null
//   type              of the two products: float32, bfloat16 or int16. That has a scale for each 1,024 values of a sum,
//                     since a few large values of a row could round all the others away.
// Sums over T are formed in one fixed order, whatever the number of threads.
#pragma once
#include <cstdint>

#include "ops/packed_matrix.h"

namespace fles {

struct LinearBackward {
  const float *d_out, *in, *weight;
  float *d_in, *d_weight, *d_bias;
  int T, N, K;
  DataType type;
};

template <class Visitor>
void fields(Visitor& v, LinearBackward& a) {
  v.size("T", a.T), v.size("N", a.N), v.size("K", a.K);
  v.product_type("dtype", a.type);
  v.input("d_out", a.d_out, int64_t{a.T} * a.N);
  v.optional("in", a.in, int64_t{a.T} * a.K);
  v.optional("weight", a.weight, int64_t{a.N} * a.K);
  v.optional_output("d_in", a.d_in, int64_t{a.T} * a.K);
  v.optional_output("d_weight", a.d_weight, int64_t{a.N} * a.K);
  v.optional_output("d_bias", a.d_bias, int64_t{a.N});
}

}  // namespace fles
