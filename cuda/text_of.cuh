// Which text a row of a batch belongs to.
#pragma once
#include "gpu.h"

namespace fles::cuda {

// The last of B texts that begins at row t or before it; it is not empty when t is a row of the batch.
__device__ __forceinline__ int text_of(const int32_t* offsets, int B, int t) {
  int first = 0, last = B;  // it is among these, without the last
  while (last - first > 1) {
    const int middle = (first + last) / 2;
    if (offsets[middle] <= t) {
      first = middle;
    } else {
      last = middle;
    }
  }
  return first;
}

}  // namespace fles::cuda
