#include "cpu/backend_cpu.h"
#include "cpu/parts.h"
#include "ops/checks.h"

namespace fles::cpu {

void dropout(void* self, const DropoutForward& a) {
  check_dropout(a.dropout, a.seed, a.text_ids);
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  const DropoutRate rate = dropout_rate(a.dropout);
  const auto rows = std::max<int64_t>(1, kPartValues / std::max(1, a.C));
  parallel_parts(*state.pool, a.T, rows, [&](int64_t first, int64_t last) {
    // The rows of each text at once: the values of a text are numbered through.
    int64_t b = std::upper_bound(a.offsets, a.offsets + a.B + 1, first) - a.offsets - 1;
    for (int64_t t = first; t < last; ++b) {
      const int64_t end = std::min<int64_t>(last, a.offsets[b + 1]);
      const int64_t at = t * a.C;
      state.kernels->train.dropout({
          .in = a.in + at,
          .residual = a.residual == nullptr ? nullptr : a.residual + at,
          .out = a.out + at,
          .count = (end - t) * a.C,
          .dropout = {rate, a.seed, rate.cut == 0 ? 0 : a.text_ids[b]},
          .index = hidden_index(static_cast<int>(t - a.offsets[b]), a.C, 0),
      });
      t = end;
    }
  });
}

}  // namespace fles::cpu
