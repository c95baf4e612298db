#include "cpu/attention.h"

namespace fles::cpu {

void attention(void* self, const AttentionForward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  const Kernels& kernels = *state.kernels;
  const int D = a.C / a.H;
  const bool may_round = a.type == DataType::kInt8 ? kernels.rounded_attention_in_int8 : a.type != DataType::kFloat32;
  const bool rounded =
      may_round && kernels.rounded_attention_head != nullptr && a.dropout == 0.0f && a.log_sums == nullptr;
  for_each_head(
      state, a,
      [&](int S) {
        const size_t exact = kernels.attention_scratch(S, D);
        return rounded ? std::max(exact, kernels.rounded_attention_scratch(S, D)) : exact;
      },
      [&](const HeadOfText& head) {
        const float* q = a.qkv + head.row * 3 * a.C + head.h * D;
        const bool fills = head.S >= kernels.rounded_attention_tokens;  // other texts have no say in it
        const auto attend = rounded && fills ? kernels.rounded_attention_head : kernels.attention_head;
        attend({
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
