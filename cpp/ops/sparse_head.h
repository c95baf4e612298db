// Vocabulary projection fused with pooling over the tokens of a text (Formal et al. 2021, arXiv:2109.10086).
//   in       (T, C)    transformed hidden states      weight [V, C] packed      bias (V)
//   offsets  (B + 1)   text b is rows offsets[b]..offsets[b+1)
//   with z[t, v] = in[t] . weight[v] + bias[v], which is never stored:
//   pooled   (B, V)    max: the largest z of the text; sum: sum over its tokens of log1p(relu(z)) (SPLADE v1,
//                      arXiv:2107.05720); sum_log1p: of log1p(log1p(relu(z))); added in token order
//   argmax   (B, V)    max only, or null: row (0..T-1) of the largest z; the lowest row wins a tie
// With `screen` (max only), the same weight packed in int8, terms may be left out whose largest logit has an upper
// bound, from int8 products and the norms of what rounding took, that is not above `cut`: they get -infinity and argmax
// -1. All others have the bits that they have without it. Where one of the texts from `least_from` on has fewer than
// `least` values above the cut, nothing is left out: their `least` largest are there in any case. `candidates` tells
// how many of the B V were computed. A text without tokens gets -infinity (max) or 0 (sum), and argmax -1.
#pragma once
#include <cstdint>

#include "ops/packed_matrix.h"

namespace fles {

enum class HeadPooling : int32_t { kMax, kSum, kSumLog1p };

struct SparseHeadForward {
  const float* in;
  const PackedMatrix* weight;
  const float* bias;
  const int32_t* offsets;
  float* pooled;
  int32_t* argmax;
  int B, T, C, V;
  HeadPooling pooling;
  const PackedMatrix* screen;  // or null
  int32_t* candidates;         // one number, or null
  float cut;
  int least, least_from;
  Numerics numerics = Numerics::kBatchInvariant;
};

template <class Visitor>
void fields(Visitor& v, SparseHeadForward& a) {
  v.size("B", a.B), v.size("T", a.T), v.size("C", a.C), v.size("V", a.V), v.size("least", a.least),
      v.size("least_from", a.least_from);
  v.choice("pooling", a.pooling, {"max", "sum", "sum_log1p"});
  v.optional_choice("numerics", a.numerics, {"batch_invariant", "fast"});
  v.input("in", a.in, int64_t{a.T} * a.C);
  v.number("cut", a.cut);
  v.weight("weight", a.weight, a.V, a.C);
  v.optional_weight("screen", a.screen, a.V, a.C, DataType::kInt8);
  v.input("bias", a.bias, int64_t{a.V});
  v.host("offsets", a.offsets, int64_t{a.B} + 1);
  v.output("pooled", a.pooled, int64_t{a.B} * a.V);
  v.optional_output("argmax", a.argmax, int64_t{a.B} * a.V);
  v.optional_output("candidates", a.candidates, 1);
}

}  // namespace fles
