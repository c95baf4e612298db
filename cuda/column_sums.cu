// A thread a column: first of every range of rows, then of the ranges.
#include "column_sums.h"

namespace fles::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kRange = 64;  // rows

__global__ void sum_ranges(const float* in, int64_t T, int N, float* parts) {
  const int n = blockIdx.x * kThreads + threadIdx.x;
  if (n >= N) return;
  for (int64_t range = blockIdx.y; range * kRange < T; range += gridDim.y) {
    const int64_t first = range * kRange, last = min(first + kRange, T);
    float sum = 0;
    for (int64_t t = first; t < last; ++t) sum += in[t * N + n];
    parts[range * N + n] = sum;
  }
}

__global__ void add_parts(const float* parts, int64_t ranges, int N, float* out) {
  const int n = blockIdx.x * kThreads + threadIdx.x;
  if (n >= N) return;
  float sum = 0;
  for (int64_t range = 0; range < ranges; ++range) sum += parts[range * N + n];
  out[n] += sum;
}

}  // namespace

size_t column_sums_room(int64_t T, int N) { return static_cast<size_t>(blocks_of(T, kRange)) * N; }

void add_column_sums(const Op& op, const float* in, int64_t T, int N, float* out, float* room) {
  if (T == 0 || N == 0) return;
  constexpr int kMostBlocks = 65535;
  const int ranges = blocks_of(T, kRange);
  float* parts = room != nullptr ? room : op.scratch<float>(column_sums_room(T, N));
  const unsigned columns = blocks_of(N, kThreads), rows = ranges < kMostBlocks ? ranges : kMostBlocks;
  op.launch(sum_ranges, dim3(columns, rows), kThreads, 0, in, T, N, parts);
  op.launch(add_parts, columns, kThreads, 0, parts, int64_t{ranges}, N, out);
}

}  // namespace fles::cuda
