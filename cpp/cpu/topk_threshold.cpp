#include <algorithm>
#include <vector>

#include "cpu/backend_cpu.h"
#include "cpu/weight_activation.h"

namespace fles::cpu {
namespace {

struct Entry {
  float weight;
  int32_t term;
};

// What is kept of a row, in `kept`, which has room for V entries; returns how many.
int32_t select(const TopkThresholdForward& a, int64_t b, Entry* kept) {
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
  return static_cast<int32_t>(count);
}

}  // namespace

void topk_threshold(void* self, const TopkThresholdForward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  // A row has room for V entries while it is selected; what is kept is little.
  auto* room = reinterpret_cast<Entry*>(state.other.bytes(sizeof(Entry) * a.V * state.pool->size()));
  std::vector<std::vector<Entry>> rows(a.B);
  state.pool->parallel_for(a.B, [&](int64_t b, int thread) {
    Entry* kept = room + int64_t{a.V} * thread;
    rows[b].assign(kept, kept + select(a, b, kept));
  });
  a.offsets[0] = 0;
  for (int64_t b = 0; b < a.B; ++b) a.offsets[b + 1] = a.offsets[b] + static_cast<int32_t>(rows[b].size());
  state.pool->parallel_for(a.B, [&](int64_t b, int) {
    int32_t place = a.offsets[b];
    for (const Entry& entry : rows[b]) {
      a.terms[place] = entry.term;
      a.weights[place++] = entry.weight;
    }
  });
}

}  // namespace fles::cpu
