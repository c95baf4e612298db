// The FLOPS regulariser and its relatives, with their gradient. With m_v = (1 / B) sum over rows of mask * weights:
//   L2   sum over terms of (t_v m_v)^2   (Paria et al. 2020, "Minimizing FLOPs to Learn Efficient Sparse
//        Representations", arXiv:2004.05665)
//   L1   sum over terms of t_v m_v
//   weights      (B, V)
//   mask         (B)     1 for a row that is penalised, 0 for one that is not, or null: all are
//   term_weights (V)     t, or null: 1
//   scale                what the gradient, not the value, is multiplied by
//   value        (1)     summed in double in one fixed order
//   d_weights    (B, V)  assigned: scale mask 2 t_v^2 m_v / B (L2), scale mask t_v / B (L1), also where a weight is 0
// No row: the value is 0.
#pragma once
#include <cstdint>

namespace fles {

enum class FlopsNorm : int32_t { kL1, kL2 };

struct Flops {
  const float *weights, *mask, *term_weights;
  float *value, *d_weights;
  int B, V;
  float scale;
  FlopsNorm norm;
};

template <class Visitor>
void fields(Visitor& v, Flops& a) {
  v.size("B", a.B), v.size("V", a.V);
  v.number("scale", a.scale);
  v.choice("norm", a.norm, {"L1", "L2"});
  v.input("weights", a.weights, int64_t{a.B} * a.V);
  v.optional("mask", a.mask, int64_t{a.B});
  v.optional("term_weights", a.term_weights, int64_t{a.V});
  v.output("value", a.value, 1);
  v.output("d_weights", a.d_weights, int64_t{a.B} * a.V);
}

}  // namespace fles
