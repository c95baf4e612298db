// ops/activation.h: a thread a value.
#include "activation_function.cuh"
#include "device.h"

namespace fles::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void activate_values(const float* in, float* out, size_t count, Activation activation) {
  const size_t i = size_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= count) return;
  out[i] = activate(activation, in[i]);
}

}  // namespace

void activation(void* self, const ActivationForward& a) {
  const int64_t count = int64_t{a.T} * a.N;
  if (count == 0) return;
  const Op op(self, "activation");
  op.launch(activate_values, blocks_of(count, kThreads), kThreads, 0, a.in, a.out, count, a.activation);
}

}  // namespace fles::cuda
