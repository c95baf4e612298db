#include <cmath>

#include "cpu/backend_cpu.h"

namespace fles::cpu {

void cross_entropy(void* self, const CrossEntropy& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  state.pool->parallel_for(a.M, [&](int64_t m, int) {
    const float* logits = a.logits + m * a.V;
    float* out = a.d_logits + m * a.V;
    const int label = a.labels[m];
    int largest = 0;
    for (int v = 1; v < a.V; ++v) largest = logits[v] > logits[largest] ? v : largest;
    const float top = logits[largest];
    const float below = top - logits[label];
    a.correct[m] = largest == label ? 1 : 0;
    const double sum = state.kernels->exp_row(logits, top, out, a.V);
    a.losses[m] = static_cast<float>(std::log(sum) + below);
    const auto factor = static_cast<float>(a.scale / sum);
    for (int v = 0; v < a.V; ++v) out[v] *= factor;
    out[label] -= a.scale;
  });
}

}  // namespace fles::cpu
