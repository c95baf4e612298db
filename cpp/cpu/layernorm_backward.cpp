#include "cpu/backend_cpu.h"
#include "cpu/parts.h"

namespace fles::cpu {

void layernorm_backward(void* self, const LayernormBackward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  const TrainKernels& train = state.kernels->train;
  // Each part of the rows sums into a row of d_gamma and d_beta of its own; then these are added up.
  constexpr int kRows = 64;
  const int64_t parts = part_count(a.T, kRows);
  const int64_t width = int64_t{2} * a.C;
  float* sums = state.other.floats(static_cast<size_t>(parts * width));
  parallel_parts(*state.pool, a.T, kRows, [&](int64_t first, int64_t last) {
    float* sum = sums + first / kRows * width;
    std::fill_n(sum, width, 0.0f);
    for (int64_t t = first; t < last; ++t) {
      const int64_t at = t * a.C;
      train.layernorm_gradients({.d_out = a.d_out + at,
                                 .in = a.in + at,
                                 .gamma = a.gamma,
                                 .d_in = a.d_in + at,
                                 .d_gamma = sum,
                                 .d_beta = sum + a.C,
                                 .C = a.C,
                                 .eps = a.eps});
    }
  });
  constexpr int kColumns = 128;
  parallel_parts(*state.pool, a.C, kColumns, [&](int64_t first, int64_t last) {
    const int columns = static_cast<int>(last - first);
    train.add_chosen(sums + first, width, nullptr, parts, a.d_gamma + first, columns);
    train.add_chosen(sums + a.C + first, width, nullptr, parts, a.d_beta + first, columns);
  });
}

}  // namespace fles::cpu
