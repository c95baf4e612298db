// ops/square_sum.h: each block sums every so many values, one adds up the sums.
#include <algorithm>

#include "ordered_sum.cuh"

namespace fles::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kValues = 8;         // a thread, at least
constexpr int kMostBlocks = 1024;  // whatever the device, so that the order is the same on all

__global__ void square_parts(const float* in, int64_t count, double* parts) {
  double sum = 0;
#pragma unroll 8
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count; i += int64_t{gridDim.x} * kThreads) {
    sum += static_cast<double>(in[i]) * in[i];
  }
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

}  // namespace

void square_sum(void* self, const SquareSum& a) {
  const Op op(self, "square_sum");
  const int blocks = std::min(blocks_of(a.count, kThreads * kValues), kMostBlocks);
  auto* parts = op.scratch<double>(blocks);
  if (blocks > 0) op.launch(square_parts, blocks, kThreads, 0, a.in, a.count, parts);
  add_up(op, parts, blocks, 1, a.out);
}

}  // namespace fles::cuda
