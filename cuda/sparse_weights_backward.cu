// ops/sparse_weights_backward.h: a thread a term, with a part of the squares a block.
#include "ordered_sum.cuh"
#include "term_grid.cuh"
#include "weight_activation.cuh"

namespace fles::cuda {
namespace {

__global__ void weight_gradients(SparseWeightsBackward a, double* parts) {
  const int v = grid_term();
  double squares = 0;
  for (int b = blockIdx.y; b < a.B && v < a.V; b += gridDim.y) {
    const size_t row = size_t(b) * a.V, at = row + v;
    if (a.d_weights[at] == 0.0f || !has_weight(a.pooled + row, a.drop, v)) continue;
    const float gradient = a.d_weights[at] * activation_slope(a.activation, a.pooled[at]);
    a.d_pooled[at] += gradient;
    squares += static_cast<double>(gradient) * gradient;
  }
  squares = block_sum<kTermThreads>(squares);
  if (threadIdx.x == 0) parts[blockIdx.y * gridDim.x + blockIdx.x] = squares;
}

}  // namespace

void sparse_weights_backward(void* self, const SparseWeightsBackward& a) {
  const Op op(self, "sparse_weights_backward");
  if (a.B == 0 || a.V == 0) return add_up(op, nullptr, 0, 0, a.squares);
  const dim3 grid = term_grid(a.B, a.V);
  const int blocks = static_cast<int>(grid.x * grid.y);
  auto* parts = op.scratch<double>(blocks);
  op.launch(weight_gradients, grid, kTermThreads, 0, a, parts);
  add_up(op, parts, blocks, 1, a.squares);
}

}  // namespace fles::cuda
