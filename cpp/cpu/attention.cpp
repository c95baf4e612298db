#include <cmath>

#include "cpu/backend_cpu.h"

namespace fles::cpu {

void attention(void* self, const AttentionForward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  const int D = a.C / a.H;
  int longest = 0;
  for (int b = 0; b < a.B; ++b) longest = std::max(longest, a.offsets[b + 1] - a.offsets[b]);
  if (longest == 0) return;
  const size_t scratch = (state.kernels->attention_scratch(longest, D) + 15) / 16 * 16;
  float* memory = state.other.floats(scratch * state.pool->size());
  const float scale = 1.0f / std::sqrt(static_cast<float>(D));
  state.pool->parallel_for(int64_t{a.B} * a.H, [&](int64_t work, int thread) {
    const int64_t b = work / a.H;
    const int64_t h = work % a.H;
    const int64_t first = a.offsets[b];
    const int S = a.offsets[b + 1] - a.offsets[b];
    if (S == 0) return;
    const float* q = a.qkv + first * 3 * a.C + h * D;
    state.kernels->attention_head({
        .q = q,
        .k = q + a.C,
        .v = q + int64_t{2} * a.C,
        .ld = int64_t{3} * a.C,
        .out = a.out + first * a.C + h * D,
        .ld_out = a.C,
        .S = S,
        .D = D,
        .scale = scale,
        .scratch = memory + scratch * thread,
    });
  });
}

}  // namespace fles::cpu
