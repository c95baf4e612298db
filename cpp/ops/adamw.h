// One step of Adam with decoupled weight decay (Loshchilov and Hutter 2017, arXiv:1711.05101), in place:
//   g         = scale * gradient            (scale: clipping by the global norm, or averaging)
//   first     = beta1 first + (1 - beta1) g
//   second    = beta2 second + (1 - beta2) g^2
//   parameter = (1 - rate decay) parameter - rate (first / correction1) / (sqrt(second / correction2) + eps)
// all of `count` values. Moments too small for a normal float32 become 0. correction1 = 1 - beta1^step and
// correction2 = 1 - beta2^step, step counting from 1, are the caller's: computed in double from the float32 betas, so
// that the first steps are corrected exactly.
#pragma once
#include <cstdint>

namespace fles {

struct AdamwUpdate {
  float* parameter;
  const float* gradient;
  float *first, *second;
  int count;
  float rate, beta1, beta2, eps, decay, correction1, correction2, scale;
};

template <class Visitor>
void fields(Visitor& v, AdamwUpdate& a) {
  v.size("count", a.count);
  v.number("rate", a.rate), v.number("beta1", a.beta1), v.number("beta2", a.beta2), v.number("eps", a.eps);
  v.number("decay", a.decay), v.number("scale", a.scale);
  v.number("correction1", a.correction1), v.number("correction2", a.correction2);
  v.output("parameter", a.parameter, int64_t{a.count});
  v.input("gradient", a.gradient, int64_t{a.count});
  v.output("first", a.first, int64_t{a.count});
  v.output("second", a.second, int64_t{a.count});
}

}  // namespace fles
