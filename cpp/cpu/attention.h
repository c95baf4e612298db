// What the two passes of attention share: how heads of texts are spread over threads, and their dropout.
#pragma once
#include <algorithm>
#include <cmath>

#include "cpu/backend_cpu.h"
#include "ops/checks.h"
#include "ops/random.h"

namespace fles::cpu {

struct HeadOfText {
  int64_t row;  // first of the text
  int S;        // tokens of the text, more than 0
  int64_t h;
  float* scratch;
  Dropout dropout;
  uint64_t first_block;  // of draws
};

// Calls body(HeadOfText) for every head of every text that has tokens, on all threads. `a` is the arguments of an op;
// floats(S) is the scratch that a text of S tokens needs.
template <class Arguments, class Floats, class Body>
void for_each_head(State& state, const Arguments& a, const Floats& floats, const Body& body) {
  check_dropout(a.dropout, a.seed, a.text_ids);
  const DropoutRate rate = dropout_rate(a.dropout);
  int longest = 0;
  for (int b = 0; b < a.B; ++b) longest = std::max(longest, a.offsets[b + 1] - a.offsets[b]);
  if (longest == 0) return;
  const size_t scratch = (floats(longest) + 15) / 16 * 16;
  float* memory = state.other.floats(scratch * state.pool->size());
  state.pool->parallel_for(int64_t{a.B} * a.H, [&](int64_t work, int thread) {
    const int64_t b = work / a.H, h = work % a.H;
    const int S = a.offsets[b + 1] - a.offsets[b];
    if (S == 0) return;
    body(HeadOfText{.row = a.offsets[b],
                    .S = S,
                    .h = h,
                    .scratch = memory + scratch * thread,
                    .dropout = {rate, a.seed, rate.cut == 0 ? 0 : a.text_ids[b]},
                    .first_block = attention_index(static_cast<int>(h), 0, 0, S) / 8});
  });
}

inline float attention_scale(int D) { return 1.0f / std::sqrt(static_cast<float>(D)); }

}  // namespace fles::cpu
