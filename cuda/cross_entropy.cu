// ops/cross_entropy.h: a block a row, which passes over it three times: largest logit, sum of exponentials, gradient.
#include "device.h"
#include "ordered_bits.cuh"
#include "reduce.cuh"

namespace fles::cuda {
namespace {

constexpr int kThreads = 256;

// The largest value of the block's threads, in all of them.
__device__ __forceinline__ uint64_t block_max(uint64_t value) {
  GPU_SHARED(uint64_t, parts, [kThreads / 32]);
  value = warp_max(value);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
  __syncthreads();
  for (int warp = 0; warp < kThreads / 32; ++warp) value = max(value, parts[warp]);
  return value;
}

__global__ void entropy_rows(CrossEntropy a) {
  const size_t row = size_t{blockIdx.x} * a.V;
  const float* logits = a.logits + row;
  float* out = a.d_logits + row;
  const int label = a.labels[blockIdx.x];
  const float at_label = logits[label];  // before the gradient, which may take its place
  uint64_t largest = 0;                  // the logit above, below the term, such that the lowest is the largest
  for (int v = threadIdx.x; v < a.V; v += kThreads) {
    largest = max(largest, uint64_t{ordered_bits(logits[v])} << 32 | ~unsigned(v));
  }
  const int term = static_cast<int>(~static_cast<unsigned>(block_max(largest)));
  const float top = logits[term];
  double sum = 0;
  for (int v = threadIdx.x; v < a.V; v += kThreads) sum += expf(logits[v] - top);
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) {
    a.correct[blockIdx.x] = term == label ? 1 : 0;
    a.losses[blockIdx.x] = static_cast<float>(log(sum) + static_cast<double>(top - at_label));
  }
  const auto factor = static_cast<float>(a.scale / sum);
  for (int v = threadIdx.x; v < a.V; v += kThreads) {
    out[v] = expf(logits[v] - top) * factor - (v == label ? a.scale : 0.0f);
  }
}

}  // namespace

void cross_entropy(void* self, const CrossEntropy& a) {
  if (a.M == 0 || a.V == 0) return;
  const Op op(self, "cross_entropy");
  op.launch(entropy_rows, a.M, kThreads, 0, a);
}

}  // namespace fles::cuda
