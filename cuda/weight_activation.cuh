// The activation of pooled values, once for every op that needs it.
#pragma once
#include "gpu.h"
#include "ops/topk_threshold.h"

namespace fles::cuda {

// Whether term v has a weight in a row of pooled values.
__device__ __forceinline__ bool has_weight(const float* pooled, const uint8_t* drop, int v) {
  return pooled[v] > 0.0f && (drop == nullptr || drop[v] == 0);
}

// Of a positive value.
__device__ __forceinline__ float activate(WeightActivation activation, float x) {
  if (activation != WeightActivation::kNone) x = log1pf(x);
  if (activation == WeightActivation::kLog1pLog1p) x = log1pf(x);
  return x;
}

// Its derivative there.
__device__ __forceinline__ float activation_slope(WeightActivation activation, float x) {
  if (activation == WeightActivation::kNone) return 1.0f;
  if (activation == WeightActivation::kLog1p) return 1.0f / (1.0f + x);
  return 1.0f / ((1.0f + x) * (1.0f + log1pf(x)));
}

}  // namespace fles::cuda
