#include <algorithm>

#include "cpu/backend_cpu.h"
#include "cpu/weight_activation.h"

namespace fles::cpu {
namespace {

struct Entry {
  float weight;
  int32_t term;
};

// `kept` has room for V entries.
void compact_row(const TopkThresholdForward& a, int64_t b, Entry* kept) {
  const float* pooled = a.pooled + b * a.V;
  int64_t count = 0;
  for (int32_t v = 0; v < a.V; ++v) {
    if (!(pooled[v] > 0.0f) || (a.drop != nullptr && a.drop[v] != 0)) continue;
    const float weight = activate(pooled[v], a.activation);
    if (weight > a.threshold) kept[count++] = {weight, v};
  }
  if (count > a.k) {
    std::nth_element(kept, kept + a.k, kept + count, [](const Entry& x, const Entry& y) {
      return x.weight != y.weight ? x.weight > y.weight : x.term < y.term;
    });
    count = a.k;
    std::sort(kept, kept + count, [](const Entry& x, const Entry& y) { return x.term < y.term; });
  }
  a.counts[b] = static_cast<int32_t>(count);
  for (int64_t i = 0; i < count; ++i) {
    a.terms[b * a.k + i] = kept[i].term;
    a.weights[b * a.k + i] = kept[i].weight;
  }
}

}  // namespace

void topk_threshold(void* self, const TopkThresholdForward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  auto* kept = reinterpret_cast<Entry*>(state.other.bytes(sizeof(Entry) * a.V * state.pool->size()));
  state.pool->parallel_for(a.B, [&](int64_t b, int thread) { compact_row(a, b, kept + int64_t{a.V} * thread); });
}

}  // namespace fles::cpu
