#include "cpu/attention.h"

namespace fles::cpu {

void attention_backward(void* self, const AttentionBackward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  const Kernels& kernels = *state.kernels;
  const int D = a.C / a.H;
  for_each_head(
      state, a, [&](int S) { return kernels.attention_backward_scratch(S, D); },
      [&](const HeadOfText& head) {
        const int64_t place = head.row * 3 * a.C + head.h * D, place_out = head.row * a.C + head.h * D;
        kernels.attention_backward_head({
            .q = a.qkv + place,
            .k = a.qkv + place + a.C,
            .v = a.qkv + place + int64_t{2} * a.C,
            .d_q = a.d_qkv + place,
            .d_k = a.d_qkv + place + a.C,
            .d_v = a.d_qkv + place + int64_t{2} * a.C,
            .out = a.out + place_out,
            .d_out = a.d_out + place_out,
            .ld = int64_t{3} * a.C,
            .ld_out = a.C,
            .log_sums = a.log_sums + head.row * a.H + head.h,
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
