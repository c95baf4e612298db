// Multi-head self-attention of ragged texts (Vaswani et al. 2017, arXiv:1706.03762). No padding: a text attends to
// itself.
//   qkv      (T, 3 C)  queries, keys and values side by side; head h of each is columns [h D, (h + 1) D), D = C / H
//   offsets  (B + 1)   text b is rows offsets[b]..offsets[b+1)
//   out      (T, C)    softmax(q k^T / sqrt(D)) v
// Memory beyond the output is one block of score rows a thread, never [H, L, L].
#pragma once
#include <cstdint>

namespace fles {

struct AttentionForward {
  const float* qkv;
  const int32_t* offsets;
  float* out;
  int B, T, C, H;
};

template <class Visitor>
void fields(Visitor& v, AttentionForward& a) {
  v.size("B", a.B), v.size("T", a.T), v.size("C", a.C), v.size("H", a.H);
  v.input("qkv", a.qkv, int64_t{a.T} * 3 * a.C);
  v.input("offsets", a.offsets, int64_t{a.B} + 1);
  v.output("out", a.out, int64_t{a.T} * a.C);
}

}  // namespace fles
