#include "cpu/backend_cpu.h"

namespace fles::cpu {

void layernorm(void* self, const LayernormForward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  constexpr int kRows = 32;  // enough work to be worth handing out
  state.pool->parallel_for((a.T + kRows - 1) / kRows, [&](int64_t group, int) {
    const int64_t last = (group + 1) * kRows < a.T ? (group + 1) * kRows : a.T;
    for (int64_t t = group * kRows; t < last; ++t) {
      state.kernels->layernorm_row(a.in + t * a.C, a.gamma, a.beta, a.out + t * a.C, a.C, a.eps);
    }
  });
}

}  // namespace fles::cpu
