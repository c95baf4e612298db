#include "cpu/backend_cpu.h"

namespace fles::cpu {

void linear(void* self, const LinearForward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  const Kernels& kernels = *state.kernels;
  const float* blocks = pack_input(state, a.in, a.T, a.K);
  const auto* weight = static_cast<const float*>(a.weight->data);

  // A group of rows stays in cache while the panels of the weight stream past.
  const int group = 36 * kernels.MR;
  const int groups = (a.T + group - 1) / group;
  const int panels = (a.N + kernels.NR - 1) / kernels.NR;
  state.pool->parallel_for(int64_t{groups} * panels, [&](int64_t work, int) {
    const int64_t first = work / panels * group;
    const int64_t column = work % panels * kernels.NR;
    const int64_t place = first * a.N + column;
    kernels.linear_panel({
        .blocks = blocks + first * padded(a.K),
        .panel = weight + column * padded(a.K),
        .rows = static_cast<int>(a.T - first < group ? a.T - first : group),
        .columns = static_cast<int>(a.N - column < kernels.NR ? a.N - column : kernels.NR),
        .K = a.K,
        .bias = a.bias == nullptr ? nullptr : a.bias + column,
        .residual = a.residual == nullptr ? nullptr : a.residual + place,
        .out = a.out + place,
        .ld = a.N,
        .activation = static_cast<int>(a.activation),
    });
  });
}

}  // namespace fles::cpu
