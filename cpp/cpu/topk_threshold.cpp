#include <algorithm>

#include "cpu/backend_cpu.h"
#include "cpu/weight_activation.h"

namespace fles::cpu {
namespace {

struct Entry {
  float weight;
  int32_t term;
};

// Calls take(term, weight) for every term of a row that is above the threshold.
template <class Take>
void each_above(const TopkThresholdForward& a, int64_t b, const Take& take) {
  const float* pooled = a.pooled + b * a.V;
  for (int32_t v = 0; v < a.V; ++v) {
    if (!(pooled[v] > 0.0f) || (a.drop != nullptr && a.drop[v] != 0)) continue;
    const float weight = activate(pooled[v], a.activation);
    if (weight > a.threshold) take(v, weight);
  }
}

int32_t count(const TopkThresholdForward& a, int64_t b) {
  int32_t found = 0;
  each_above(a, b, [&](int32_t, float) { ++found; });
  return std::min(found, a.k);
}

// What is kept of a row, to its places; `kept` has room for V entries.
void compact(const TopkThresholdForward& a, int64_t b, Entry* kept) {
  int32_t count = 0;
  each_above(a, b, [&](int32_t term, float weight) { kept[count++] = {weight, term}; });
  if (count > a.k) {
    std::nth_element(kept, kept + a.k, kept + count, [](const Entry& x, const Entry& y) {
      return x.weight != y.weight ? x.weight > y.weight : x.term < y.term;
    });
    count = a.k;
    std::sort(kept, kept + count, [](const Entry& x, const Entry& y) { return x.term < y.term; });
  }
  for (int32_t i = 0; i < count; ++i) {
    a.terms[a.offsets[b] + i] = kept[i].term;
    a.weights[a.offsets[b] + i] = kept[i].weight;
  }
}

}  // namespace

void topk_threshold(void* self, const TopkThresholdForward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  // To go through the rows twice takes little time, and to keep what is above the threshold much memory.
  state.pool->parallel_for(a.B, [&](int64_t b, int) { a.offsets[b + 1] = count(a, b); });
  a.offsets[0] = 0;
  for (int64_t b = 0; b < a.B; ++b) a.offsets[b + 1] += a.offsets[b];
  auto* room = reinterpret_cast<Entry*>(state.other.bytes(sizeof(Entry) * a.V * state.pool->size()));
  state.pool->parallel_for(a.B, [&](int64_t b, int thread) { compact(a, b, room + int64_t{a.V} * thread); });
}

}  // namespace fles::cpu
