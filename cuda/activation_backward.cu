// ops/activation_backward.h: a thread a value.
#include "activation_function.cuh"
#include "device.h"

namespace fles::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void activation_gradients(const float* in, const float* d_out, float* d_in, size_t count,
                                     Activation activation) {
  const size_t i = size_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= count) return;
  d_in[i] = d_out[i] * activation_slope(activation, in[i]);
}

}  // namespace

void activation_backward(void* self, const ActivationBackward& a) {
  const int64_t count = int64_t{a.T} * a.N;
  if (count == 0) return;
  const Op op(self, "activation_backward");
  op.launch(activation_gradients, blocks_of(count, kThreads), kThreads, 0, a.in, a.d_out, a.d_in, count, a.activation);
}

}  // namespace fles::cuda
