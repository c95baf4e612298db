// ops/dense_pool.h: a block a text, neighbouring threads neighbouring columns.
#include "add_rows.cuh"
#include "device.h"
#include "reduce.cuh"

namespace fles::cuda {
namespace {

constexpr int kThreads = 256;

// `offsets` on the device.
__global__ void pool_texts(DensePoolForward a, const int32_t* offsets) {
  const int first = offsets[blockIdx.x], tokens = offsets[blockIdx.x + 1] - first;
  const int rows = a.pooling == DensePooling::kCls ? min(1, tokens) : tokens;
  float* out = a.out + size_t{blockIdx.x} * a.C;
  double squares = 0;
  for (int c = threadIdx.x; c < a.C; c += kThreads) {
    const float sum = add_rows(0, a.in + c, a.C, first, first + rows, [](int t) { return t; });
    out[c] = sum;
    squares += static_cast<double>(sum) * sum;
  }
  float scale = rows == 0 ? 0.0f : 1.0f / static_cast<float>(rows);
  if (a.normalize != 0) {
    squares = block_sum<kThreads>(squares);
    scale = squares > 0 ? static_cast<float>(1.0 / sqrt(squares)) : 0.0f;
  }
  for (int c = threadIdx.x; c < a.C; c += kThreads) out[c] *= scale;
}

}  // namespace

void dense_pool(void* self, const DensePoolForward& a) {
  if (a.B == 0) return;
  const Op op(self, "dense_pool");
  op.launch(pool_texts, a.B, kThreads, 0, a, op.offsets(a.offsets, a.B));
}

}  // namespace fles::cuda
