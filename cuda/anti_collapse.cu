// ops/anti_collapse.h: a block a row. Most rows have k values above the margin, which ends the matter.
#include "keep_largest.cuh"
#include "ordered_bits.cuh"
#include "ordered_sum.cuh"

namespace fles::cuda {
namespace {

// missing, found (B): of each row, the sum of margin - z and the number of values below the margin.
__global__ void lift_rows(AntiCollapse a, float gradient, double* missing, double* found) {
  const size_t row = size_t{blockIdx.x} * a.V;
  const float* pooled = a.pooled + row;
  const auto counts = [&](int v) { return a.drop == nullptr || a.drop[v] == 0; };
  int above = 0;
  for (int v = threadIdx.x; v < a.V; v += kSelectThreads) above += counts(v) && !(pooled[v] < a.margin) ? 1 : 0;
  above = block_sum<kSelectThreads>(above);
  double sum = 0;
  const auto key_of = [&](int v) { return counts(v) && pooled[v] < a.margin ? ordered_bits(pooled[v]) : 0U; };
  const int count = keep_largest(a.V, max(a.k - above, 0), key_of, [&](int v, int) {
    sum += static_cast<double>(a.margin) - pooled[v];
    a.d_pooled[row + v] += gradient;
  });
  sum = block_sum<kSelectThreads>(sum);
  if (threadIdx.x == 0) missing[blockIdx.x] = sum, found[blockIdx.x] = count;
}

}  // namespace

void anti_collapse(void* self, const AntiCollapse& a) {
  const Op op(self, "anti_collapse");
  const double share = a.B == 0 ? 0.0 : 1.0 / (static_cast<double>(a.B) * a.k);
  const auto gradient = static_cast<float>(-a.scale * share);
  auto *missing = op.scratch<double>(a.B), *found = op.scratch<double>(a.B);
  if (a.B > 0) op.launch(lift_rows, a.B, kSelectThreads, 0, a, gradient, missing, found);
  add_up(op, missing, a.B, share, a.value);
  add_up(op, found, a.B, static_cast<double>(gradient) * gradient, a.squares);
}

}  // namespace fles::cuda
