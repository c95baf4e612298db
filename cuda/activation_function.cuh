// The activations of ops/linear.h and their derivatives.
#pragma once
#include "gpu.h"
#include "ops/linear.h"

namespace fles::cuda {

// x / 2 (1 + tanh(y)) is x / (1 + e^-2y); this is -2y.
__device__ __forceinline__ float gelu_new_exponent(float x) { return -1.5957691f * (x + 0.044715f * x * x * x); }

__device__ __forceinline__ float activate(Activation activation, float x) {
  switch (activation) {
    case Activation::kGelu:
      return 0.5f * x * (1.0f + erff(x * 0.70710678f));
    case Activation::kGeluNew:
      return x / (1.0f + expf(gelu_new_exponent(x)));
    case Activation::kRelu:
      return fmaxf(x, 0.0f);
    case Activation::kNone:
      break;
  }
  return x;
}

__device__ __forceinline__ float activation_slope(Activation activation, float x) {
  switch (activation) {
    case Activation::kGelu:
      return 0.5f * (1.0f + erff(x * 0.70710678f)) + 0.39894228f * x * expf(-0.5f * x * x);
    case Activation::kGeluNew: {
      // s + 2 x y' s (1 - s) with s = 1 / (1 + e^-2y); nothing overflows when the exponent is below 0.
      const float e = expf(-fabsf(gelu_new_exponent(x))), r = 1.0f / (1.0f + e);
      return (x < 0.0f ? e * r : r) + x * (1.5957691f + 0.21406454f * x * x) * (e * r * r);
    }
    case Activation::kRelu:
      return x > 0.0f ? 1.0f : 0.0f;
    case Activation::kNone:
      break;
  }
  return 1.0f;
}

}  // namespace fles::cuda
