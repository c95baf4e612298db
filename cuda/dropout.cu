// ops/dropout.h: a warp a row, which draws 256 values at a time, a block of draws a lane.
#include "device.h"
#include "ops/checks.h"
#include "text_of.cuh"

namespace fles::cuda {
namespace {

constexpr int kRows = 4;   // a block
constexpr int kDraws = 8;  // in a block of them

// A bit for each draw of a block: whether its value is kept.
__device__ __forceinline__ unsigned kept_draws(const PhiloxBlock& block, uint32_t cut) {
  unsigned kept = 0;
#pragma unroll
  for (int d = 0; d < kDraws; ++d) kept |= unsigned{(block.word[d / 2] >> (16 * (d % 2)) & 0xFFFF) >= cut} << d;
  return kept;
}

__global__ void drop(DropoutForward a, const int32_t* offsets, DropoutRate rate) {
  const int lane = threadIdx.x % 32, t = blockIdx.x * kRows + threadIdx.x / 32;
  if (t >= a.T) return;
  const int text = text_of(offsets, a.B, t);
  const uint64_t index = hidden_index(t - offsets[text], a.C, 0);
  const int skip = static_cast<int>(index % kDraws);  // a row may begin within a block of draws
  const int id = rate.cut == 0 ? 0 : a.text_ids[text];
  const size_t row = size_t(t) * a.C;
  for (int first = 0; first < skip + a.C; first += 32 * kDraws) {
    unsigned own = 0xFF;
    if (rate.cut != 0) own = kept_draws(dropout_block(a.seed, id, index / kDraws + first / kDraws + lane), rate.cut);
#pragma unroll
    for (int r = 0; r < kDraws; ++r) {
      const unsigned kept = __shfl_sync(kFullWarp, own, (32 * r + lane) / kDraws);
      const int c = first + 32 * r + lane - skip;
      if (c < 0 || c >= a.C) continue;
      const float value = (kept >> lane % kDraws & 1) != 0 ? a.in[row + c] * rate.scale : 0.0f;
      a.out[row + c] = (a.residual == nullptr ? 0.0f : a.residual[row + c]) + value;
    }
  }
}

}  // namespace

void dropout(void* self, const DropoutForward& a) {
  check_dropout(a.dropout, a.seed, a.text_ids);
  if (a.T == 0 || a.C == 0) return;
  const Op op(self, "dropout");
  op.launch(drop, blocks_of(a.T, kRows), kRows * kWarp, 0, a, op.offsets(a.offsets, a.B), dropout_rate(a.dropout));
}

}  // namespace fles::cuda
