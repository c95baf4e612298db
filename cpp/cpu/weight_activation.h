// The activation of pooled values, once for every op that needs it.
#pragma once
#include <cmath>

#include "ops/topk_threshold.h"

namespace fles::cpu {

// Of a positive value.
inline float activate(float x, WeightActivation activation) {
  switch (activation) {
    case WeightActivation::kLog1p:
      return std::log1p(x);
    case WeightActivation::kLog1pLog1p:
      return std::log1p(std::log1p(x));
    case WeightActivation::kNone:
      break;
  }
  return x;
}

// Its derivative there.
inline float slope(float x, WeightActivation activation) {
  switch (activation) {
    case WeightActivation::kLog1p:
      return 1.0f / (1.0f + x);
    case WeightActivation::kLog1pLog1p:
      return 1.0f / ((1.0f + x) * (1.0f + std::log1p(x)));
    case WeightActivation::kNone:
      break;
  }
  return 1.0f;
}

}  // namespace fles::cpu
