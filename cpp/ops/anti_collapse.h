// Keeps the largest pooled values of every row above a margin, so that a row that has lost all its terms finds back:
//   value = (1 / (B k)) sum over rows, over their k largest pooled values z, of max(0, margin - z)
//   pooled   (B, V)   before any activation; the lowest term wins a tie; a row of fewer than k terms has those alone
//   drop     (V)      bytes, 1 for a term that does not count, or null
//   scale             what the gradient, not the value, is multiplied by
//   value    (1)      summed in double in one fixed order
//   d_pooled (B, V)   accumulated: -= scale / (B k) at those of the k largest that are below the margin
//   squares  (1)      sum of squares of what was added
#pragma once
#include <cstdint>

namespace fles {

struct AntiCollapse {
  const float* pooled;
  const uint8_t* drop;
  float *value, *d_pooled, *squares;
  int B, V, k;
  float margin, scale;
};

template <class Visitor>
void fields(Visitor& v, AntiCollapse& a) {
  v.size("B", a.B), v.size("V", a.V), v.size("k", a.k);
  v.number("margin", a.margin), v.number("scale", a.scale);
  v.input("pooled", a.pooled, int64_t{a.B} * a.V);
  v.optional("drop", a.drop, int64_t{a.V});
  v.output("value", a.value, 1);
  v.output("d_pooled", a.d_pooled, int64_t{a.B} * a.V);
  v.output("squares", a.squares, 1);
}

}  // namespace fles
