// Gradient of ops/attention.h. Scores are recomputed from qkv, and probabilities are e^(score - log_sum) (Dao et al.
// 2022, "FlashAttention", arXiv:2205.14135), a block of keys at a time, so that nothing is [H, L, L].
//   qkv, out, log_sums  what the forward pass read and wrote
//   d_out     (T, C)    gradient of out
//   offsets   (B + 1)   text b is rows offsets[b]..offsets[b+1)
//   text_ids, dropout, seed  of the forward pass
//   d_qkv     (T, 3 C)  assigned
#pragma once
#include <cstdint>

namespace fles {

struct AttentionBackward {
  const float *qkv, *out, *d_out, *log_sums;
  const int32_t *offsets, *text_ids;
  float* d_qkv;
  int B, T, C, H;
  float dropout;
  int seed;
};

template <class Visitor>
void fields(Visitor& v, AttentionBackward& a) {
  v.size("B", a.B), v.size("T", a.T), v.size("C", a.C), v.size("H", a.H), v.size("seed", a.seed);
  v.number("dropout", a.dropout);
  v.input("qkv", a.qkv, int64_t{a.T} * 3 * a.C);
  v.input("out", a.out, int64_t{a.T} * a.C);
  v.input("d_out", a.d_out, int64_t{a.T} * a.C);
  v.input("log_sums", a.log_sums, int64_t{a.T} * a.H);
  v.host("offsets", a.offsets, int64_t{a.B} + 1);
  v.optional("text_ids", a.text_ids, int64_t{a.B});
  v.output("d_qkv", a.d_qkv, int64_t{a.T} * 3 * a.C);
}

}  // namespace fles
