// Distance of vectors from a teacher's sparse ones, with its gradient.
//   squared   mean over rows and terms of (w - t)^2
//   cosine    mean over rows of 1 - <w, t> / (|w| |t|); 1, without a gradient, where either is zero
//   weights (B, V)
//   offsets (B + 1)   terms, values (N)   the teacher: row b has values at terms [offsets[b], offsets[b+1]), ascending
//   scale             what the gradient, not the value, is multiplied by
//   value     (1)     summed in double in one fixed order
//   d_weights (B, V)  assigned
// No row: the value is 0.
#pragma once
#include <cstdint>

namespace fles {

enum class VocabularyDistanceKind : int32_t { kSquared, kCosine };

struct VocabularyDistance {
  const float* weights;
  const int32_t *offsets, *terms;
  const float* values;
  float *value, *d_weights;
  int B, V, N;
  float scale;
  VocabularyDistanceKind kind;
};

template <class Visitor>
void fields(Visitor& v, VocabularyDistance& a) {
  v.size("B", a.B), v.size("V", a.V), v.size("N", a.N);
  v.number("scale", a.scale);
  v.choice("kind", a.kind, {"squared", "cosine"});
  v.input("weights", a.weights, int64_t{a.B} * a.V);
  v.host("offsets", a.offsets, int64_t{a.B} + 1);
  v.input("terms", a.terms, int64_t{a.N});
  v.input("values", a.values, int64_t{a.N});
  v.output("value", a.value, 1);
  v.output("d_weights", a.d_weights, int64_t{a.B} * a.V);
}

}  // namespace fles
