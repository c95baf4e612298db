#include "cpu/backend_cpu.h"
#include "cpu/parts.h"

namespace fles::cpu {
namespace {

// Numbers 0..count-1 ordered by key_of(number), 0..keys-1, and by themselves where keys are equal; counts has keys + 1
// places.
template <class Key>
void order_by_key(int count, int keys, const Key& key_of, int32_t* counts, int32_t* ordered) {
  std::fill_n(counts, keys + 1, 0);
  for (int t = 0; t < count; ++t) ++counts[key_of(t) + 1];
  for (int key = 0; key < keys; ++key) counts[key + 1] += counts[key];
  for (int t = 0; t < count; ++t) ordered[counts[key_of(t)]++] = t;
}

}  // namespace

void embedding_backward(void* self, const EmbeddingBackward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  const TrainKernels& train = state.kernels->train;
  if (a.T == 0) return;

  // The rows of one word are added by one thread, in their order.
  auto* counts = reinterpret_cast<int32_t*>(state.input.floats(static_cast<size_t>(a.V) + 1 + a.T));
  int32_t* ordered = counts + a.V + 1;
  order_by_key(a.T, a.V, [&](int t) { return a.tokens[t]; }, counts, ordered);
  constexpr int kTokens = 32;
  parallel_parts(*state.pool, a.T, kTokens, [&](int64_t first, int64_t last) {
    const auto word = [&](int64_t i) { return a.tokens[ordered[i]]; };
    // The words whose first row is in this part, to their last row wherever it is.
    while (first > 0 && first < last && word(first) == word(first - 1)) ++first;
    while (first < last) {
      int64_t end = first + 1;
      while (end < a.T && word(end) == word(first)) ++end;
      train.add_chosen(a.d_sum, a.C, ordered + first, end - first, a.d_word + int64_t{word(first)} * a.C, a.C);
      first = end;
    }
  });

  // The rows of one position likewise, by way of a sum of their own, because the type's gradient is the sum of these.
  int longest = 0;
  for (int b = 0; b < a.B; ++b) longest = std::max(longest, a.offsets[b + 1] - a.offsets[b]);
  float* sums = state.other.floats(static_cast<size_t>(longest) * a.C);
  state.pool->parallel_for(longest, [&](int64_t i, int) {
    float* sum = sums + i * a.C;
    std::fill_n(sum, a.C, 0.0f);
    for (int b = 0; b < a.B; ++b) {
      const int64_t t = a.offsets[b] + i;
      if (t < a.offsets[b + 1]) train.add_chosen(a.d_sum + t * a.C, a.C, nullptr, 1, sum, a.C);
    }
    train.add_chosen(sum, a.C, nullptr, 1, a.d_position + i * a.C, a.C);
  });
  if (a.d_type == nullptr) return;
  constexpr int kColumns = 128;
  parallel_parts(*state.pool, a.C, kColumns, [&](int64_t first, int64_t last) {
    train.add_chosen(sums + first, a.C, nullptr, longest, a.d_type + first, static_cast<int>(last - first));
  });
}

}  // namespace fles::cpu
