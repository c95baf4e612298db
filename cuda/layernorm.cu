// ops/layernorm.h: a warp a row.
#include "device.h"
#include "layernorm_row.cuh"

namespace fles::cuda {
namespace {

constexpr int kRows = 4;  // a block

__global__ void layernorm_rows(const float* in, const float* gamma, const float* beta, float* out, int T, int C,
                               float eps) {
  const int row = blockIdx.x * kRows + threadIdx.x / 32;
  if (row >= T) return;
  normalize_row(in + size_t(row) * C, gamma, beta, out + size_t(row) * C, C, eps);
}

}  // namespace

void layernorm(void* self, const LayernormForward& a) {
  if (a.T == 0) return;
  const Op op(self, "layernorm");
  op.launch(layernorm_rows, blocks_of(a.T, kRows), kRows * kWarp, 0, a.in, a.gamma, a.beta, a.out, a.T, a.C, a.eps);
}

}  // namespace fles::cuda
