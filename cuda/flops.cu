// ops/flops.h: a thread a term, which adds up its column and then fills its gradients.
#include "add_rows.cuh"
#include "ordered_sum.cuh"

namespace fles::cuda {
namespace {

constexpr int kThreads = 128;

__global__ void regularize(Flops a, float share, double* parts) {
  const int v = blockIdx.x * kThreads + threadIdx.x;
  const auto counts = [&](int b) { return a.mask == nullptr || a.mask[b] != 0.0f; };
  double value = 0;
  if (v < a.V) {
    const float sum = add_rows(0, a.weights + v, a.V, 0, a.B, [&](int b) { return counts(b) ? b : -1; });
    const float t = a.term_weights == nullptr ? 1.0f : a.term_weights[v], mean = t * (sum * share);
    const bool squared = a.norm == FlopsNorm::kL2;
    value = squared ? static_cast<double>(mean) * mean : static_cast<double>(mean);
    const float gradient = a.scale * share * (squared ? 2.0f * t * mean : t);
    for (int b = 0; b < a.B; ++b) a.d_weights[size_t(b) * a.V + v] = counts(b) ? gradient : 0.0f;
  }
  value = block_sum<kThreads>(value);
  if (threadIdx.x == 0) parts[blockIdx.x] = value;
}

}  // namespace

void flops(void* self, const Flops& a) {
  const Op op(self, "flops");
  if (a.B == 0 || a.V == 0) return add_up(op, nullptr, 0, 0, a.value);
  const int blocks = blocks_of(a.V, kThreads);
  auto* parts = op.scratch<double>(blocks);
  op.launch(regularize, blocks, kThreads, 0, a, 1.0f / static_cast<float>(a.B), parts);
  add_up(op, parts, blocks, 1, a.value);
}

}  // namespace fles::cuda
