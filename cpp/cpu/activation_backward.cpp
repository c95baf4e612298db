#include "cpu/backend_cpu.h"
#include "cpu/parts.h"

namespace fles::cpu {

void activation_backward(void* self, const ActivationBackward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  parallel_parts(*state.pool, int64_t{a.T} * a.N, kPartValues, [&](int64_t first, int64_t last) {
    state.kernels->train.activation_gradients(a.in + first, a.d_out + first, a.d_in + first, last - first,
                                              static_cast<int>(a.activation));
  });
}

}  // namespace fles::cpu
