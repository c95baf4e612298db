// Gradient of ops/activation.h.
//   in    (T, N)   what went into the activation
//   d_out (T, N)
//   d_in  (T, N)   assigned: d_out * activation'(in), may be d_out; relu' is 0 at 0
#pragma once
#include <cstdint>

#include "ops/linear.h"

namespace fles {

struct ActivationBackward {
  const float *in, *d_out;
  float* d_in;
  int T, N;
  Activation activation;
};

template <class Visitor>
void fields(Visitor& v, ActivationBackward& a) {
  v.size("T", a.T), v.size("N", a.N);
  v.choice("activation", a.activation, {"none", "gelu", "gelu_new", "relu"});
  v.input("in", a.in, int64_t{a.T} * a.N);
  v.input("d_out", a.d_out, int64_t{a.T} * a.N);
  v.output("d_in", a.d_in, int64_t{a.T} * a.N);
}

}  // namespace fles
