#include "core/error.h"
#include "cpu/backend_cpu.h"

namespace fles::cpu {

void sparse_head(void* self, const SparseHeadForward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  if (a.pooling == HeadPooling::kSum && a.argmax != nullptr) {
    fail("ERR_ARGUMENT_VALUE", "argmax is asked of pooling \"sum\", which has none; pass null");
  }
  const Kernels& kernels = *state.kernels;
  const float* blocks = pack_input(state, a.in, a.T, a.C);
  const auto* weight = static_cast<const float*>(a.weight->data);

  std::vector<int32_t> row_text(a.T);
  for (int b = 0; b < a.B; ++b) {
    for (int t = a.offsets[b]; t < a.offsets[b + 1]; ++t) row_text[t] = b;
  }
  // Running maxima of one panel for every text, and the rows they came from, for each thread.
  const size_t scratch = static_cast<size_t>(a.B) * kernels.NR * 2;
  float* memory = state.other.floats(scratch * state.pool->size());
  const int panels = (a.V + kernels.NR - 1) / kernels.NR;
  constexpr int kPanels = 4;  // handed out together
  state.pool->parallel_for((panels + kPanels - 1) / kPanels, [&](int64_t group, int thread) {
    float* best = memory + scratch * thread;
    const int64_t last = (group + 1) * kPanels < panels ? (group + 1) * kPanels : panels;
    for (int64_t panel = group * kPanels; panel < last; ++panel) {
      const int64_t column = panel * kernels.NR;
      kernels.head_panel({
          .blocks = blocks,
          .panel = weight + column * padded(a.C),
          .rows = a.T,
          .columns = static_cast<int>(a.V - column < kernels.NR ? a.V - column : kernels.NR),
          .K = a.C,
          .bias = a.bias + column,
          .row_text = row_text.data(),
          .texts = a.B,
          .sum = a.pooling == HeadPooling::kSum ? 1 : 0,
          .best = best,
          .best_row =
              a.argmax == nullptr ? nullptr : reinterpret_cast<int32_t*>(best + static_cast<size_t>(a.B) * kernels.NR),
          .pooled = a.pooled + column,
          .argmax = a.argmax == nullptr ? nullptr : a.argmax + column,
          .ld = a.V,
      });
    }
  });
}

}  // namespace fles::cpu
