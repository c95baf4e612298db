// A column of some rows of a matrix, added up in their order.
#pragma once
#include "gpu.h"

namespace fles::cuda {

// sum + column[row_of(first) C] + ... + column[row_of(last - 1) C], in this order; a row below 0 is left out. Eight
// values are on their way at a time, so that a long sum does not wait for memory at every step.
template <class RowOf>
__device__ __forceinline__ float add_rows(float sum, const float* column, int C, int first, int last,
                                          const RowOf& row_of) {
  constexpr int kAtOnce = 8;
  for (; first < last; first += kAtOnce) {
    int rows[kAtOnce];
    float values[kAtOnce];
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      rows[j] = first + j < last ? row_of(first + j) : -1;
      values[j] = rows[j] < 0 ? 0.0f : column[size_t(rows[j]) * C];
    }
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      if (rows[j] >= 0) sum += values[j];
    }
  }
  return sum;
}

}  // namespace fles::cuda
