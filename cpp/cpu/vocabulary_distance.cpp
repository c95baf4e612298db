#include <algorithm>
#include <cmath>

#include "cpu/ordered_sum.h"

namespace fles::cpu {
namespace {

// Each returns the row's share of the value and assigns its gradient.

double squared_row(const VocabularyDistance& a, int64_t b) {
  const float* weights = a.weights + b * a.V;
  float* d_weights = a.d_weights + b * a.V;
  const double share = 1.0 / (static_cast<double>(a.B) * a.V);
  const auto factor = static_cast<float>(2.0 * a.scale * share);
  std::copy(weights, weights + a.V, d_weights);
  for (int i = a.offsets[b]; i < a.offsets[b + 1]; ++i) d_weights[a.terms[i]] -= a.values[i];
  double squares = 0;
  for (int v = 0; v < a.V; ++v) {
    squares += static_cast<double>(d_weights[v]) * d_weights[v];
    d_weights[v] *= factor;
  }
  return squares * share;
}

double cosine_row(const VocabularyDistance& a, int64_t b) {
  const float* weights = a.weights + b * a.V;
  float* d_weights = a.d_weights + b * a.V;
  double product = 0, own = 0, teacher = 0;
  for (int v = 0; v < a.V; ++v) own += static_cast<double>(weights[v]) * weights[v];
  for (int i = a.offsets[b]; i < a.offsets[b + 1]; ++i) {
    product += static_cast<double>(weights[a.terms[i]]) * a.values[i];
    teacher += static_cast<double>(a.values[i]) * a.values[i];
  }
  const double share = 1.0 / a.B;
  if (own == 0 || teacher == 0) {
    std::fill(d_weights, d_weights + a.V, 0.0f);
    return share;
  }
  const double norms = std::sqrt(own) * std::sqrt(teacher);
  const double cosine = product / norms;
  const auto along = static_cast<float>(a.scale * share * cosine / own);
  for (int v = 0; v < a.V; ++v) d_weights[v] = along * weights[v];
  for (int i = a.offsets[b]; i < a.offsets[b + 1]; ++i) {
    d_weights[a.terms[i]] -= static_cast<float>(a.scale * share / norms * a.values[i]);
  }
  return (1.0 - cosine) * share;
}

}  // namespace

void vocabulary_distance(void* self, const VocabularyDistance& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  const bool cosine = a.kind == VocabularyDistanceKind::kCosine;
  *a.value = static_cast<float>(
      ordered_sum(state, a.B, [&](int64_t b) { return cosine ? cosine_row(a, b) : squared_row(a, b); }));
}

}  // namespace fles::cpu
