// ops/adamw.h: a thread a value.
#include "device.h"

namespace fles::cuda {
namespace {

constexpr int kThreads = 256;

// What the scalars of the update come to.
struct Factors {
  float rate, decay, correction, rest1, rest2;
};

// Values too small for a normal number become 0.
__device__ __forceinline__ float normal(float x) { return fabsf(x) < 1.17549435e-38f ? 0.0f : x; }

__global__ void update(AdamwUpdate a, Factors f) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= a.count) return;
  const float g = a.gradient[i] * a.scale, p = a.parameter[i];
  const float first = normal(a.first[i] * a.beta1 + g * f.rest1);
  const float second = normal(a.second[i] * a.beta2 + g * g * f.rest2);
  a.first[i] = first;
  a.second[i] = second;
  a.parameter[i] = p - (p * f.decay + f.rate * first / (sqrtf(second) * f.correction + a.eps));
}

}  // namespace

void adamw(void* self, const AdamwUpdate& a) {
  if (a.count == 0) return;
  const Op op(self, "adamw");
  const Factors factors{a.rate / a.correction1, a.rate * a.decay, 1 / sqrtf(a.correction2),
                        static_cast<float>(1 - static_cast<double>(a.beta1)),
                        static_cast<float>(1 - static_cast<double>(a.beta2))};
  op.launch(update, blocks_of(a.count, kThreads), kThreads, 0, a, factors);
}

}  // namespace fles::cuda
