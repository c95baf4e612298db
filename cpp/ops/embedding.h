// Sum of word, position and token-type embeddings, then LayerNorm (Devlin et al. 2018, arXiv:1810.04805).
//   tokens    (T)       word piece ids in 0..V-1
//   offsets   (B + 1)   text b is tokens[offsets[b]..offsets[b+1]); positions count from 0 in each text
//   word      (V, C)    position (P, C)    type (C): row 0 of the type table, or null (DistilBERT)
//   gamma, beta (C)
//   out       (T, C)    = LayerNorm(word[token] + position[i] + type)
//   sum       (T, C)    or null: what the LayerNorm was given, which its backward pass reads
#pragma once
#include <cstdint>

namespace fles {

struct EmbeddingForward {
  const int32_t* tokens;
  const int32_t* offsets;
  const float *word, *position, *type, *gamma, *beta;
  float *out, *sum;
  int B, T, C, V, P;
  float eps;
};

template <class Visitor>
void fields(Visitor& v, EmbeddingForward& a) {
  v.size("B", a.B), v.size("T", a.T), v.size("C", a.C), v.size("V", a.V), v.size("P", a.P);
  v.number("eps", a.eps);
  v.input("tokens", a.tokens, int64_t{a.T});
  v.host("offsets", a.offsets, int64_t{a.B} + 1);
  v.input("word", a.word, int64_t{a.V} * a.C);
  v.input("position", a.position, int64_t{a.P} * a.C);
  v.optional("type", a.type, int64_t{a.C});
  v.input("gamma", a.gamma, int64_t{a.C});
  v.input("beta", a.beta, int64_t{a.C});
  v.output("out", a.out, int64_t{a.T} * a.C);
  v.optional_output("sum", a.sum, int64_t{a.T} * a.C);
}

}  // namespace fles
