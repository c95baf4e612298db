// Sums over the rows of a matrix, in one fixed order.
#pragma once
#include "device.h"

namespace fles::cuda {

// Floats that sums of T rows of N columns take meanwhile.
size_t column_sums_room(int64_t T, int N);

// out (N) += sum over rows of in (T, N). In `room` when it is given, else in scratch memory.
void add_column_sums(const Op& op, const float* in, int64_t T, int N, float* out, float* room = nullptr);

}  // namespace fles::cuda
