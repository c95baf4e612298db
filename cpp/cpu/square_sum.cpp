#include "cpu/backend_cpu.h"
#include "cpu/parts.h"

namespace fles::cpu {

void square_sum(void* self, const SquareSum& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  const int64_t parts = part_count(a.count, kPartValues);
  auto* sums = reinterpret_cast<double*>(state.other.floats(static_cast<size_t>(parts) * 2));
  parallel_parts(*state.pool, a.count, kPartValues, [&](int64_t first, int64_t last) {
    sums[first / kPartValues] = state.kernels->train.squares(a.in + first, last - first);
  });
  double sum = 0;
  for (int64_t part = 0; part < parts; ++part) sum += sums[part];
  *a.out = static_cast<float>(sum);
}

}  // namespace fles::cpu
