#include <algorithm>

#include "cpu/ordered_sum.h"

namespace fles::cpu {

void flops(void* self, const Flops& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  constexpr int kTerms = 512;
  const float share = a.B == 0 ? 0.0f : 1.0f / static_cast<float>(a.B);
  const double value = ordered_sum(state, (a.V + kTerms - 1) / kTerms, [&](int64_t chunk) {
    const int64_t first = chunk * kTerms;
    const int terms = static_cast<int>(std::min<int64_t>(kTerms, a.V - first));
    float values[kTerms] = {};  // means, then gradients
    for (int64_t b = 0; b < a.B; ++b) {
      if (a.mask != nullptr && a.mask[b] == 0.0f) continue;
      for (int v = 0; v < terms; ++v) values[v] += a.weights[b * a.V + first + v];
    }
    double sum = 0;
    for (int v = 0; v < terms; ++v) {
      const float t = a.term_weights == nullptr ? 1.0f : a.term_weights[first + v];
      const float mean = t * (values[v] * share);
      sum += a.norm == FlopsNorm::kL2 ? static_cast<double>(mean) * mean : static_cast<double>(mean);
      values[v] = a.scale * share * (a.norm == FlopsNorm::kL2 ? 2.0f * t * mean : t);
    }
    for (int64_t b = 0; b < a.B; ++b) {
      float* out = a.d_weights + b * a.V + first;
      const bool counts = a.mask == nullptr || a.mask[b] != 0.0f;
      for (int v = 0; v < terms; ++v) out[v] = counts ? values[v] : 0.0f;
    }
    return sum;
  });
  *a.value = static_cast<float>(value);
}

}  // namespace fles::cpu
