// ops/topk_threshold.h: a block a row, which counts what it keeps, and another that writes it behind the rows before.
// Weights are computed again in every pass, which costs less than to keep them, and only where the threshold, as a cut
// of the pooled values, lets them through.
#include <cmath>

#include "device.h"
#include "keep_largest.cuh"
#include "ordered_bits.cuh"
#include "weight_activation.cuh"

namespace fles::cuda {
namespace {

// Values up to it have weights up to the threshold. Lowered by more than the activation is rounded.
float cut_of(const TopkThresholdForward& a) {
  double cut = a.threshold;
  const int times = a.activation == WeightActivation::kNone ? 0 : a.activation == WeightActivation::kLog1p ? 1 : 2;
  for (int i = 0; i < times; ++i) cut = std::expm1(cut * (1 - 1e-6));
  return std::nextafter(static_cast<float>(cut), 0.0f);
}

// Of a term of the block's row; 0 for one that is not kept.
__device__ __forceinline__ unsigned key_of(const TopkThresholdForward& a, float cut, const float* pooled, int v) {
  if (!(pooled[v] > cut) || !has_weight(pooled, a.drop, v)) return 0;
  const float weight = activate(a.activation, pooled[v]);
  return weight > 0.0f && weight > a.threshold ? ordered_bits(weight) : 0;
}

__global__ void count_weights(TopkThresholdForward a, float cut, int* counts) {
  const float* pooled = a.pooled + size_t{blockIdx.x} * a.V;
  int count = 0;
  for (int v = threadIdx.x; v < a.V; v += kSelectThreads) count += key_of(a, cut, pooled, v) != 0 ? 1 : 0;
  count = block_sum<kSelectThreads>(count);
  if (threadIdx.x == 0) counts[blockIdx.x] = min(count, a.k);
}

__global__ void keep_weights(TopkThresholdForward a, float cut, const int* counts) {
  const float* pooled = a.pooled + size_t{blockIdx.x} * a.V;
  int before = 0;
  for (unsigned b = threadIdx.x; b < blockIdx.x; b += kSelectThreads) before += counts[b];
  before = block_sum<kSelectThreads>(before);
  if (threadIdx.x == 0) {
    if (blockIdx.x == 0) a.offsets[0] = 0;
    a.offsets[blockIdx.x + 1] = before + counts[blockIdx.x];
  }
  keep_largest(
      a.V, a.k, [&](int v) { return key_of(a, cut, pooled, v); },
      [&](int v, int place) {
        a.terms[before + place] = v;
        a.weights[before + place] = activate(a.activation, pooled[v]);
      });
}

}  // namespace

void topk_threshold(void* self, const TopkThresholdForward& a) {
  const Op op(self, "topk_threshold");
  if (a.B == 0) {
    op.device().clear(a.offsets, sizeof(int32_t));
    return;
  }
  const float cut = cut_of(a);
  auto* counts = op.scratch<int>(a.B);
  op.launch(count_weights, a.B, kSelectThreads, 0, a, cut, counts);
  op.launch(keep_weights, a.B, kSelectThreads, 0, a, cut, counts);
}

}  // namespace fles::cuda
