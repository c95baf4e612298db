// Gradients of the three tables of ops/embedding.h from that of the sum before its LayerNorm.
//   tokens     (T)      word piece ids in 0..V-1      offsets (B + 1)
//   d_sum      (T, C)
//   d_word     (V, C)   accumulated: row v += d_sum of every token v, in the order of the tokens; no other row is
//   touched d_position (P, C)   accumulated: row i += d_sum of token i of every text d_type     (C)      accumulated:
//   += d_sum of all tokens; or null (DistilBERT)
// Sums are formed in one fixed order, whatever the number of threads.
#pragma once
#include <cstdint>

namespace fles {

struct EmbeddingBackward {
  const int32_t *tokens, *offsets;
  const float* d_sum;
  float *d_word, *d_position, *d_type;
  int B, T, C, V, P;
};

template <class Visitor>
void fields(Visitor& v, EmbeddingBackward& a) {
  v.size("B", a.B), v.size("T", a.T), v.size("C", a.C), v.size("V", a.V), v.size("P", a.P);
  v.input("tokens", a.tokens, int64_t{a.T});
  v.host("offsets", a.offsets, int64_t{a.B} + 1);
  v.input("d_sum", a.d_sum, int64_t{a.T} * a.C);
  v.output("d_word", a.d_word, int64_t{a.V} * a.C);
  v.output("d_position", a.d_position, int64_t{a.P} * a.C);
  v.optional_output("d_type", a.d_type, int64_t{a.C});
}

}  // namespace fles
