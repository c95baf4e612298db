// ops/topk_threshold.h: a block a row. Weights are computed again in every pass, which costs less than to keep them.
#include "device.h"
#include "keep_largest.cuh"
#include "ordered_bits.cuh"
#include "weight_activation.cuh"

namespace fles::cuda {
namespace {

__global__ void keep_weights(TopkThresholdForward a) {
  const float* pooled = a.pooled + size_t{blockIdx.x} * a.V;
  const size_t row = size_t{blockIdx.x} * a.k;
  const auto key_of = [&](int v) -> unsigned {
    if (!has_weight(pooled, a.drop, v)) return 0;
    const float weight = activate(a.activation, pooled[v]);
    return weight > 0.0f && weight > a.threshold ? ordered_bits(weight) : 0;
  };
  const int count = keep_largest(a.V, a.k, key_of, [&](int v, int place) {
    a.terms[row + place] = v;
    a.weights[row + place] = activate(a.activation, pooled[v]);
  });
  if (threadIdx.x == 0) a.counts[blockIdx.x] = count;
}

}  // namespace

void topk_threshold(void* self, const TopkThresholdForward& a) {
  if (a.B == 0) return;
  const Op op(self, "topk_threshold");
  op.launch(keep_weights, a.B, kSelectThreads, 0, a);
}

}  // namespace fles::cuda
