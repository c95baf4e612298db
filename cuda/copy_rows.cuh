// Rows of a matrix to other places.
#pragma once
#include "device.h"

namespace fles::cuda {

constexpr int kCopyThreads = 128;

// A block a row: row i of `from`, or from_rows[i], to row i of `to`, or to_rows[i].
static __global__ void copy_rows(const float* from, const int32_t* from_rows, float* to, const int32_t* to_rows,
                                 int C) {
  const int i = blockIdx.x;
  const float* in = from + size_t(from_rows == nullptr ? i : from_rows[i]) * C;
  float* out = to + size_t(to_rows == nullptr ? i : to_rows[i]) * C;
  for (int c = threadIdx.x; c < C; c += kCopyThreads) out[c] = in[c];
}

}  // namespace fles::cuda
