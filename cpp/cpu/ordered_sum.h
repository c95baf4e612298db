// Sums of parts that threads compute, formed in one fixed order.
#pragma once
#include "cpu/backend_cpu.h"

namespace fles::cpu {

// part(0) + part(1) + ... in double. Uses state.input.
template <class Part>
double ordered_sum(State& state, int64_t parts, Part&& part) {
  auto* sums = reinterpret_cast<double*>(state.input.floats(2 * static_cast<size_t>(parts)));
  state.pool->parallel_for(parts, [&](int64_t i, int) { sums[i] = part(i); });
  double total = 0;
  for (int64_t i = 0; i < parts; ++i) total += sums[i];
  return total;
}

}  // namespace fles::cpu
