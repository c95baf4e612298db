#include <algorithm>
#include <limits>
#include <vector>

#include "cpu/ordered_sum.h"

namespace fles::cpu {
namespace {

// Of the k largest values of a row, those below the margin; `below` has room for k. Insertion keeps them sorted: k is
// small, and a healthy row has k values above the margin, which ends the matter.
int largest_below(const AntiCollapse& a, const float* pooled, int32_t* below) {
  int above = 0;
  const auto counts = [&](int v) { return a.drop == nullptr || a.drop[v] == 0; };
  for (int v = 0; v < a.V && above < a.k; ++v) above += counts(v) && !(pooled[v] < a.margin);
  const int most = a.k - above;
  int count = 0;
  for (int v = 0; v < a.V && most > 0; ++v) {
    if (!counts(v) || !(pooled[v] < a.margin)) continue;
    if (count == most && !(pooled[v] > pooled[below[count - 1]])) continue;
    int place = count < most ? count++ : count - 1;
    for (; place > 0 && pooled[below[place - 1]] < pooled[v]; --place) below[place] = below[place - 1];
    below[place] = v;
  }
  return count;
}

}  // namespace

void anti_collapse(void* self, const AntiCollapse& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  const double share = a.B == 0 ? 0.0 : 1.0 / (static_cast<double>(a.B) * a.k);
  const auto gradient = static_cast<float>(-a.scale * share);
  const int room = std::min(a.k, a.V);
  auto* memory = reinterpret_cast<int32_t*>(state.other.floats(static_cast<size_t>(a.B) * (room + 1)));
  int32_t* found = memory + static_cast<int64_t>(a.B) * room;
  const double sum = ordered_sum(state, a.B, [&](int64_t b) {
    const float* pooled = a.pooled + b * a.V;
    int32_t* below = memory + b * room;
    const int count = found[b] = largest_below(a, pooled, below);
    double missing = 0;
    for (int i = 0; i < count; ++i) {
      missing += static_cast<double>(a.margin) - pooled[below[i]];
      a.d_pooled[b * a.V + below[i]] += gradient;
    }
    return missing;
  });
  *a.value = static_cast<float>(sum * share);
  int64_t added = 0;
  for (int b = 0; b < a.B; ++b) added += found[b];
  *a.squares = static_cast<float>(static_cast<double>(added) * gradient * gradient);
}

}  // namespace fles::cpu
