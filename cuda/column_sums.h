// Sums over the rows of a matrix, in one fixed order.
#pragma once
#include "device.h"

namespace fles::cuda {

// out (N) += sum over rows of in (T, N).
void add_column_sums(const Op& op, const float* in, int64_t T, int N, float* out);

}  // namespace fles::cuda
