// Pooled values to sparse rows in CSR form: activation, threshold, then the k largest of each row.
//   pooled   (B, V)   as sparse_head left them
//   drop     (V)      bytes, 1 for a term that is never kept (special tokens), or null
//   activation: log1p  w = log1p(relu(x));  log1p_log1p  w = log1p(log1p(relu(x)));  none  w = relu(x)
//   kept: w > 0 and w > threshold (both strict), at most k a row, the largest; the lowest term id wins a tie; ascending
//   by term id
//   offsets  (B + 1)  row b is places offsets[b]..offsets[b + 1) of terms and weights
//   terms, weights    room for B k, of which offsets[B] are filled; the others are left alone
#pragma once
#include <cstdint>

namespace fles {

enum class WeightActivation : int32_t { kLog1p, kLog1pLog1p, kNone };

struct TopkThresholdForward {
  const float* pooled;
  const uint8_t* drop;
  int32_t* offsets;
  int32_t* terms;
  float* weights;
  int B, V, k;
  float threshold;
  WeightActivation activation;
};

template <class Visitor>
void fields(Visitor& v, TopkThresholdForward& a) {
  v.size("B", a.B), v.size("V", a.V), v.size("k", a.k);
  v.number("threshold", a.threshold);
  v.choice("activation", a.activation, {"log1p", "log1p_log1p", "none"});
  v.input("pooled", a.pooled, int64_t{a.B} * a.V);
  v.optional("drop", a.drop, int64_t{a.V});
  v.output("offsets", a.offsets, int64_t{a.B} + 1);
  v.output("terms", a.terms, int64_t{a.B} * a.k);
  v.output("weights", a.weights, int64_t{a.B} * a.k);
}

}  // namespace fles
