#include "cpu/backend_cpu.h"
#include "cpu/parts.h"

namespace fles::cpu {

void adamw(void* self, const AdamwUpdate& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  parallel_parts(*state.pool, a.count, kPartValues, [&](int64_t first, int64_t last) {
    AdamwUpdate part = a;
    part.parameter += first;
    part.gradient += first;
    part.first += first;
    part.second += first;
    part.count = static_cast<int>(last - first);
    state.kernels->train.adamw(part);
  });
}

}  // namespace fles::cpu
