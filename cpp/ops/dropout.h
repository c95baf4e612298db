// Dropout and the sum that follows it (Srivastava et al. 2014, "Dropout"): out = residual + mask * in, the mask of
// ops/random.h at index position * C + c of each text. Its own backward pass: d_in is the dropout of d_out with the
// same seed.
//   in        (T, C)
//   residual  (T, C) or null: nothing is added
//   offsets   (B + 1)   text b is rows offsets[b]..offsets[b+1)
//   text_ids  (B)       the number by which each text draws its mask; may be null when dropout is 0
//   out       (T, C)    may be `in` or `residual`
//   dropout   probability that a value is dropped, 0 <= dropout < 1; seed >= 0, one a site and step
#pragma once
#include <cstdint>

namespace fles {

struct DropoutForward {
  const float *in, *residual;
  const int32_t *offsets, *text_ids;
  float* out;
  int B, T, C;
  float dropout;
  int seed;
};

template <class Visitor>
void fields(Visitor& v, DropoutForward& a) {
  v.size("B", a.B), v.size("T", a.T), v.size("C", a.C), v.size("seed", a.seed);
  v.number("dropout", a.dropout);
  v.input("in", a.in, int64_t{a.T} * a.C);
  v.optional("residual", a.residual, int64_t{a.T} * a.C);
  v.host("offsets", a.offsets, int64_t{a.B} + 1);
  v.optional("text_ids", a.text_ids, int64_t{a.B});
  v.output("out", a.out, int64_t{a.T} * a.C);
}

}  // namespace fles
