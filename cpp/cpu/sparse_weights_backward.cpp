#include "cpu/ordered_sum.h"
#include "cpu/weight_activation.h"

namespace fles::cpu {

void sparse_weights_backward(void* self, const SparseWeightsBackward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  *a.squares = static_cast<float>(ordered_sum(state, a.B, [&](int64_t b) {
    const int64_t row = b * a.V;
    double squares = 0;
    for (int64_t v = 0; v < a.V; ++v) {
      const float x = a.pooled[row + v];
      if (!(x > 0.0f) || a.d_weights[row + v] == 0.0f || (a.drop != nullptr && a.drop[v] != 0)) continue;
      const float gradient = a.d_weights[row + v] * slope(x, a.activation);
      a.d_pooled[row + v] += gradient;
      squares += static_cast<double>(gradient) * gradient;
    }
    return squares;
  }));
}

}  // namespace fles::cpu
