// Gradient of ops/dense_pool.h without its normalisation, which is a matter of the loss (a cosine).
//   d_out (B, C)   offsets (B + 1)   d_in (T, C)   assigned
//   mean: every token of a text has the text's gradient divided by their number; cls: the first has it, the others 0
#pragma once
#include <cstdint>

#include "ops/dense_pool.h"

namespace fles {

struct DensePoolBackward {
  const float* d_out;
  const int32_t* offsets;
  float* d_in;
  int B, T, C;
  DensePooling pooling;
};

template <class Visitor>
void fields(Visitor& v, DensePoolBackward& a) {
  v.size("B", a.B), v.size("T", a.T), v.size("C", a.C);
  v.choice("pooling", a.pooling, {"mean", "cls"});
  v.input("d_out", a.d_out, int64_t{a.B} * a.C);
  v.host("offsets", a.offsets, int64_t{a.B} + 1);
  v.output("d_in", a.d_in, int64_t{a.T} * a.C);
}

}  // namespace fles
