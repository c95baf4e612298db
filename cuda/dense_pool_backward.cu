// ops/dense_pool_backward.h: a block a token, neighbouring threads neighbouring columns.
#include "device.h"
#include "ops/dense_pool_backward.h"
#include "text_of.cuh"

namespace fles::cuda {
namespace {

constexpr int kThreads = 128;

// `offsets` on the device.
__global__ void spread_texts(DensePoolBackward a, const int32_t* offsets) {
  const int t = static_cast<int>(blockIdx.x);
  const int b = text_of(offsets, a.B, t);
  const int first = offsets[b];
  const auto tokens = static_cast<float>(offsets[b + 1] - first);
  const float* from = a.d_out + size_t(b) * a.C;
  float* to = a.d_in + size_t(t) * a.C;
  for (int c = threadIdx.x; c < a.C; c += kThreads) {
    to[c] = a.pooling == DensePooling::kMean ? from[c] / tokens : t == first ? from[c] : 0.0f;
  }
}

}  // namespace

void dense_pool_backward(void* self, const DensePoolBackward& a) {
  if (a.T == 0) return;
  const Op op(self, "dense_pool_backward");
  op.launch(spread_texts, a.T, kThreads, 0, a, op.offsets(a.offsets, a.B));
}

}  // namespace fles::cuda
