// Multi-head self-attention of ragged texts (Vaswani et al. 2017, arXiv:1706.03762). No padding: a text attends to
// itself.
//   qkv       (T, 3 C)  queries, keys and values side by side; head h of each is columns [h D, (h + 1) D), D = C / H
//   offsets   (B + 1)   text b is rows offsets[b]..offsets[b+1)
//   out       (T, C)    dropout(softmax(q k^T / sqrt(D))) v
//   log_sums  (T, H)    natural logarithm of the sum of e^(q k^T / sqrt(D)) over keys, for the backward pass; or null
//   text_ids  (B)       the number by which each text draws its mask (ops/random.h); may be null when dropout is 0
//   dropout   probability that an attention probability is dropped, 0 <= dropout < 1; seed >= 0, one a site and step
// Memory beyond the output is one block of score rows a thread, never [H, L, L].
// `type`, that of the products before, allows less exact ones than float32 where there is neither dropout nor log_sums:
// operands and probabilities rounded to bfloat16 or to whole numbers of 16 bits.
#pragma once
#include <cstdint>

#include "ops/packed_matrix.h"

namespace fles {

struct AttentionForward {
  const float* qkv;
  const int32_t* offsets;
  float* out;
  int B, T, C, H;
  float* log_sums = nullptr;
  const int32_t* text_ids = nullptr;
  float dropout = 0.0f;
  int seed = 0;
  DataType type = DataType::kFloat32;
};

template <class Visitor>
void fields(Visitor& v, AttentionForward& a) {
  v.size("B", a.B), v.size("T", a.T), v.size("C", a.C), v.size("H", a.H), v.size("seed", a.seed);
  v.number("dropout", a.dropout);
  v.optional_choice("dtype", a.type, {"float32", "bfloat16", "int8", "int16"});
  v.input("qkv", a.qkv, int64_t{a.T} * 3 * a.C);
  v.host("offsets", a.offsets, int64_t{a.B} + 1);
  v.optional("text_ids", a.text_ids, int64_t{a.B});
  v.output("out", a.out, int64_t{a.T} * a.C);
  v.optional_output("log_sums", a.log_sums, int64_t{a.T} * a.H);
}

}  // namespace fles
