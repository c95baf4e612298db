// Floats as unsigned numbers, for searches that take bits.
#pragma once
#include "gpu.h"

namespace fles::cuda {

// In the order of the floats, -0 the same as 0; 0 for no number but a NaN.
__device__ __forceinline__ unsigned ordered_bits(float x) {
  const unsigned bits = __float_as_uint(x + 0.0f);
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

}  // namespace fles::cuda
