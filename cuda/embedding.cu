// ops/embedding.h: a warp a token.
#include "device.h"
#include "layernorm_row.cuh"
#include "text_of.cuh"

namespace fles::cuda {
namespace {

constexpr int kTokens = 4;  // a block

__global__ void embed(EmbeddingForward a, const int32_t* offsets) {
  const int t = blockIdx.x * kTokens + threadIdx.x / 32;
  if (t >= a.T) return;
  const float* word = a.word + size_t(a.tokens[t]) * a.C;
  const float* position = a.position + size_t(t - offsets[text_of(offsets, a.B, t)]) * a.C;
  float* out = a.out + size_t(t) * a.C;
  float* sum = a.sum == nullptr ? out : a.sum + size_t(t) * a.C;
  for (int c = threadIdx.x % 32; c < a.C; c += 32) {
    sum[c] = word[c] + position[c] + (a.type == nullptr ? 0.0f : a.type[c]);
  }
  normalize_row(sum, a.gamma, a.beta, out, a.C, a.eps);
}

}  // namespace

void embedding(void* self, const EmbeddingForward& a) {
  if (a.T == 0) return;
  const Op op(self, "embedding");
  op.launch(embed, blocks_of(a.T, kTokens), kTokens * kWarp, 0, a, op.offsets(a.offsets, a.B));
}

}  // namespace fles::cuda
