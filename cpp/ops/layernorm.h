// Layer normalisation over the last dimension (Ba et al. 2016, arXiv:1607.06450).
//   in (T, C)   gamma, beta (C)   out (T, C), may be `in`
//   out = (in - mean) / sqrt(variance + eps) * gamma + beta, variance over C without Bessel's correction
#pragma once
#include <cstdint>

namespace fles {

struct LayernormForward {
  const float *in, *gamma, *beta;
  float* out;
  int T, C;
  float eps;
};

template <class Visitor>
void fields(Visitor& v, LayernormForward& a) {
  v.size("T", a.T), v.size("C", a.C);
  v.number("eps", a.eps);
  v.input("in", a.in, int64_t{a.T} * a.C);
  v.input("gamma", a.gamma, int64_t{a.C});
  v.input("beta", a.beta, int64_t{a.C});
  v.output("out", a.out, int64_t{a.T} * a.C);
}

}  // namespace fles
