// The activation of ops/linear.h by itself, for a training pass that keeps what goes into it.
//   in (T, N)   out (T, N) = activation(in), may be `in`
#pragma once
#include <cstdint>

#include "ops/linear.h"

namespace fles {

struct ActivationForward {
  const float* in;
  float* out;
  int T, N;
  Activation activation;
};

template <class Visitor>
void fields(Visitor& v, ActivationForward& a) {
  v.size("T", a.T), v.size("N", a.N);
  v.choice("activation", a.activation, {"none", "gelu", "gelu_new", "relu"});
  v.input("in", a.in, int64_t{a.T} * a.N);
  v.output("out", a.out, int64_t{a.T} * a.N);
}

}  // namespace fles
