// ops/layernorm_backward.h: a block 16 rows. First a warp a row finds what the gradients of the row depend on; then a
// thread a column goes down the rows, with the block's part of d_gamma and d_beta.
#include "column_sums.h"
#include "layernorm_row.cuh"

namespace fles::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kRows = 16;

struct Row {
  RowMoments moments;
  float mean_g, mean_gx;
};

// d_gammas, d_betas (blocks, C)
__global__ void layernorm_gradients(LayernormBackward a, float* d_gammas, float* d_betas) {
  GPU_SHARED(Row, rows, [kRows]);
  const int first = blockIdx.x * kRows, count = min(kRows, a.T - first), lane = threadIdx.x % 32;
  for (int r = threadIdx.x / 32; r < count; r += kThreads / 32) {
    const float *in = a.in + size_t(first + r) * a.C, *d_out = a.d_out + size_t(first + r) * a.C;
    const RowMoments moments = row_moments(in, a.C, a.eps);
    float sum = 0, products = 0;
    for (int c = lane; c < a.C; c += 32) {
      const float g = __fmul_rn(d_out[c], a.gamma[c]);
      sum += g;
      products += g * ((in[c] - moments.mean) * moments.scale);
    }
    sum = warp_sum(sum) / a.C;
    products = warp_sum(products) / a.C;
    if (lane == 0) rows[r] = {moments, sum, products};
  }
  __syncthreads();
  for (int c = threadIdx.x; c < a.C; c += kThreads) {
    const float gamma = a.gamma[c];
    float d_gamma = 0, d_beta = 0;
    for (int r = 0; r < count; ++r) {
      const Row row = rows[r];
      const size_t at = size_t(first + r) * a.C + c;
      const float d = a.d_out[at], x = (a.in[at] - row.moments.mean) * row.moments.scale;
      d_gamma += d * x;
      d_beta += d;
      // Rounded as the terms of the mean are, so that they cancel where there is one.
      a.d_in[at] = (__fmul_rn(d, gamma) - row.mean_g - x * row.mean_gx) * row.moments.scale;
    }
    d_gammas[size_t{blockIdx.x} * a.C + c] = d_gamma;
    d_betas[size_t{blockIdx.x} * a.C + c] = d_beta;
  }
}

}  // namespace

void layernorm_backward(void* self, const LayernormBackward& a) {
  if (a.T == 0) return;
  const Op op(self, "layernorm_backward");
  const int blocks = blocks_of(a.T, kRows);
  const size_t parts = static_cast<size_t>(blocks) * a.C;
  auto *d_gammas = op.scratch<float>(parts), *d_betas = op.scratch<float>(parts);
  op.launch(layernorm_gradients, blocks, kThreads, 0, a, d_gammas, d_betas);
  add_column_sums(op, d_gammas, blocks, a.C, a.d_gamma);
  add_column_sums(op, d_betas, blocks, a.C, a.d_beta);
}

}  // namespace fles::cuda
