#include <algorithm>

#include "cpu/backend_cpu.h"

namespace fles::cpu {

void gather_rows(void* self, const GatherRowsForward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  state.pool->parallel_for(a.N, [&](int64_t i, int) {
    const float* from = a.in + int64_t{a.rows[i]} * a.C;
    std::copy(from, from + a.C, a.out + i * a.C);
  });
}

}  // namespace fles::cpu
