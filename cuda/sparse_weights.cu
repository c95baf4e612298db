// ops/sparse_weights.h: a thread a term. Counts are whole numbers, whose sum no order changes.
#include "term_grid.cuh"
#include "weight_activation.cuh"

namespace fles::cuda {
namespace {

__global__ void weigh(SparseWeightsForward a) {
  const int v = grid_term();
  int rows = 0;
  for (int b = blockIdx.y; b < a.B; b += gridDim.y) {
    const float* pooled = a.pooled + size_t(b) * a.V;
    float weight = 0;
    if (v < a.V) {
      if (has_weight(pooled, a.drop, v)) weight = activate(a.activation, pooled[v]);
      a.weights[size_t(b) * a.V + v] = weight;
    }
    rows += weight > 0.0f ? 1 : 0;
    const int terms = __popc(__ballot_sync(kFullWarp, weight > 0.0f));
    if (threadIdx.x % 32 == 0 && terms > 0) atomicAdd(a.counts + b, terms);
  }
  if (rows > 0) atomicAdd(a.frequencies + v, rows);
}

}  // namespace

void sparse_weights(void* self, const SparseWeightsForward& a) {
  const Op op(self, "sparse_weights");
  op.device().clear(a.counts, static_cast<size_t>(a.B) * sizeof(int32_t));
  op.device().clear(a.frequencies, static_cast<size_t>(a.V) * sizeof(int32_t));
  if (a.B == 0 || a.V == 0) return;
  op.launch(weigh, term_grid(a.B, a.V), kTermThreads, 0, a);
}

}  // namespace fles::cuda
