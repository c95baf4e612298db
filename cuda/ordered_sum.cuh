// The end of a sum in double that blocks have left in parts: one block adds them up in one fixed order.
#pragma once
#include "device.h"
#include "reduce.cuh"

namespace fles::cuda {

constexpr int kOrderedSumThreads = 256;

// out (1) = factor * sum of parts (count), rounded once.
static __global__ void ordered_sum(const double* parts, int count, double factor, float* out) {
  double sum = 0;
  for (int i = threadIdx.x; i < count; i += kOrderedSumThreads) sum += parts[i];
  sum = block_sum<kOrderedSumThreads>(sum);
  if (threadIdx.x == 0) *out = static_cast<float>(factor * sum);
}

// Where there is no part the sum is 0.
inline void add_up(const Op& op, const double* parts, int count, double factor, float* out) {
  op.launch(ordered_sum, 1, kOrderedSumThreads, 0, parts, count, factor, out);
}

}  // namespace fles::cuda
