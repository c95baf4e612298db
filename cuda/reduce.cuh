// Sums and maxima over a warp or a block, in one fixed order.
#pragma once
#include "gpu.h"

namespace fles::cuda {

// The sum of the 32 lanes, in every lane.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(0xFFFFFFFFU, value, offset);
  return value;
}

template <class T>
__device__ __forceinline__ T warp_max(T value) {
  for (int offset = 16; offset > 0; offset /= 2) {
    const T other = __shfl_xor_sync(0xFFFFFFFFU, value, offset);
    value = other > value ? other : value;
  }
  return value;
}

// The sum over a block of Threads threads, a multiple of 32, in every thread. All threads of the block must call it.
template <int Threads, class T>
__device__ __forceinline__ T block_sum(T value) {
  GPU_SHARED(T, parts, [Threads / 32]);
  value = warp_sum(value);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
  __syncthreads();
  T sum = 0;
  for (int warp = 0; warp < Threads / 32; ++warp) sum += parts[warp];
  __syncthreads();  // before the next call writes the parts
  return sum;
}

}  // namespace fles::cuda
