// LayerNorm of a row, by a warp. A lane reads and writes every 32nd column and no other.
#pragma once
#include "reduce.cuh"

namespace fles::cuda {

struct RowMoments {
  float mean, scale;  // scale: 1 / sqrt(variance + eps)
};

__device__ __forceinline__ RowMoments row_moments(const float* x, int C, float eps) {
  const int lane = threadIdx.x % 32;
  float sum = 0;
  for (int c = lane; c < C; c += 32) sum += x[c];
  const float mean = warp_sum(sum) / C;
  float squares = 0;
  for (int c = lane; c < C; c += 32) squares += (x[c] - mean) * (x[c] - mean);
  return {mean, 1 / sqrtf(warp_sum(squares) / C + eps)};
}

// y, which may be x.
__device__ __forceinline__ void normalize_row(const float* x, const float* gamma, const float* beta, float* y, int C,
                                              float eps) {
  const RowMoments row = row_moments(x, C, eps);
  for (int c = threadIdx.x % 32; c < C; c += 32) y[c] = (x[c] - row.mean) * row.scale * gamma[c] + beta[c];
}

}  // namespace fles::cuda
