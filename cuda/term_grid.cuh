// A grid over a matrix (B, V) of values of terms: a thread a term, every so many rows.
#pragma once
#include <algorithm>

#include "device.h"

namespace fles::cuda {

constexpr int kTermThreads = 256;

// Of the sizes alone, so that sums of its blocks are the same on every device. Neither B nor V is 0.
inline dim3 term_grid(int B, int V) { return dim3(blocks_of(V, kTermThreads), std::min(B, 16)); }

__device__ __forceinline__ int grid_term() { return blockIdx.x * kTermThreads + threadIdx.x; }

}  // namespace fles::cuda
