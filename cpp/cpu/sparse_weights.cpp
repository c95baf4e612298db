#include <algorithm>

#include "cpu/backend_cpu.h"
#include "cpu/weight_activation.h"

namespace fles::cpu {

void sparse_weights(void* self, const SparseWeightsForward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  state.pool->parallel_for(a.B, [&](int64_t b, int) {
    const float* pooled = a.pooled + b * a.V;
    float* weights = a.weights + b * a.V;
    int32_t count = 0;
    for (int v = 0; v < a.V; ++v) {
      const bool kept = pooled[v] > 0.0f && (a.drop == nullptr || a.drop[v] == 0);
      weights[v] = kept ? activate(pooled[v], a.activation) : 0.0f;
      count += weights[v] > 0.0f;
    }
    a.counts[b] = count;
  });
  constexpr int kTerms = 1024;
  state.pool->parallel_for((a.V + kTerms - 1) / kTerms, [&](int64_t chunk, int) {
    const int64_t first = chunk * kTerms;
    const int64_t last = std::min<int64_t>(a.V, first + kTerms);
    std::fill(a.frequencies + first, a.frequencies + last, 0);
    for (int64_t b = 0; b < a.B; ++b) {
      for (int64_t v = first; v < last; ++v) a.frequencies[v] += a.weights[b * a.V + v] > 0.0f;
    }
  });
}

}  // namespace fles::cpu
