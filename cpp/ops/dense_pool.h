// One dense vector a text from its hidden states (Reimers and Gurevych 2019, arXiv:1908.10084).
//   in (T, C)   offsets (B + 1)   out (B, C)
//   mean: average over the tokens of the text; cls: its first token; normalize: divided by its L2 norm (a zero vector
//   stays)
// A text without tokens gets zeros.
#pragma once
#include <cstdint>

namespace fles {

enum class DensePooling : int32_t { kMean, kCls };

struct DensePoolForward {
  const float* in;
  const int32_t* offsets;
  float* out;
  int B, T, C;
  int normalize;  // 0 or 1
  DensePooling pooling;
};

template <class Visitor>
void fields(Visitor& v, DensePoolForward& a) {
  v.size("B", a.B), v.size("T", a.T), v.size("C", a.C), v.size("normalize", a.normalize);
  v.choice("pooling", a.pooling, {"mean", "cls"});
  v.input("in", a.in, int64_t{a.T} * a.C);
  v.host("offsets", a.offsets, int64_t{a.B} + 1);
  v.output("out", a.out, int64_t{a.B} * a.C);
}

}  // namespace fles
