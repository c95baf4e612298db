#include <algorithm>

#include "cpu/backend_cpu.h"
#include "cpu/weight_activation.h"

namespace fles::cpu {
namespace {

struct Entry {
  float weight;
  int32_t term;
};

void compact_row(const TopkThresholdForward& a, int64_t b, std::vector<Entry>& kept) {
  const float* pooled = a.pooled + b * a.V;
  kept.clear();
  for (int32_t v = 0; v < a.V; ++v) {
    if (!(pooled[v] > 0.0f) || (a.drop != nullptr && a.drop[v] != 0)) continue;
    const float weight = activate(pooled[v], a.activation);
    if (weight > a.threshold) kept.push_back({weight, v});
  }
  if (static_cast<int>(kept.size()) > a.k) {
    std::nth_element(kept.begin(), kept.begin() + a.k, kept.end(), [](const Entry& x, const Entry& y) {
      return x.weight != y.weight ? x.weight > y.weight : x.term < y.term;
    });
    kept.resize(a.k);
    std::sort(kept.begin(), kept.end(), [](const Entry& x, const Entry& y) { return x.term < y.term; });
  }
  a.counts[b] = static_cast<int32_t>(kept.size());
  for (size_t i = 0; i < kept.size(); ++i) {
    a.terms[b * a.k + static_cast<int64_t>(i)] = kept[i].term;
    a.weights[b * a.k + static_cast<int64_t>(i)] = kept[i].weight;
  }
}

}  // namespace

void topk_threshold(void* self, const TopkThresholdForward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  std::vector<std::vector<Entry>> kept(state.pool->size());
  state.pool->parallel_for(a.B, [&](int64_t b, int thread) { compact_row(a, b, kept[thread]); });
}

}  // namespace fles::cpu
