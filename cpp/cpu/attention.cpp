#include "cpu/attention.h"

namespace fles::cpu {

void attention(void* self, const AttentionForward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  const Kernels& kernels = *state.kernels;
  const int D = a.C / a.H;
  for_each_head(
      state, a, [&](int S) { return kernels.attention_scratch(S, D); },
      [&](const HeadOfText& head) {
        const float* q = a.qkv + head.row * 3 * a.C + head.h * D;
        kernels.attention_head({
            .q = q,
            .k = q + a.C,
            .v = q + int64_t{2} * a.C,
            .ld = int64_t{3} * a.C,
            .out = a.out + head.row * a.C + head.h * D,
            .ld_out = a.C,
            .log_sums = a.log_sums == nullptr ? nullptr : a.log_sums + head.row * a.H + head.h,
            .ld_log_sums = a.H,
            .S = head.S,
            .D = D,
            .scale = attention_scale(D),
            .dropout = head.dropout,
            .first_block = head.first_block,
            .scratch = head.scratch,
        });
      });
}

}  // namespace fles::cpu
