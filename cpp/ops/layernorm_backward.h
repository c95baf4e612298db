// Gradients of ops/layernorm.h. With x the normalised row and g = d_out * gamma:
//   d_out   (T, C)
//   in      (T, C)   the input of the norm; mean and variance are computed again
//   gamma   (C)
//   d_in    (T, C)   assigned: (g - mean(g) - x mean(g x)) / sqrt(variance + eps); may be d_out
//   d_gamma (C)      accumulated: += sum over rows of d_out x
//   d_beta  (C)      accumulated: += sum over rows of d_out
// Sums over T are formed in one fixed order, whatever the number of threads.
#pragma once
#include <cstdint>

namespace fles {

struct LayernormBackward {
  const float *d_out, *in, *gamma;
  float *d_in, *d_gamma, *d_beta;
  int T, C;
  float eps;
};

template <class Visitor>
void fields(Visitor& v, LayernormBackward& a) {
  v.size("T", a.T), v.size("C", a.C);
  v.number("eps", a.eps);
  v.input("d_out", a.d_out, int64_t{a.T} * a.C);
  v.input("in", a.in, int64_t{a.T} * a.C);
  v.input("gamma", a.gamma, int64_t{a.C});
  v.output("d_in", a.d_in, int64_t{a.T} * a.C);
  v.output("d_gamma", a.d_gamma, int64_t{a.C});
  v.output("d_beta", a.d_beta, int64_t{a.C});
}

}  // namespace fles
