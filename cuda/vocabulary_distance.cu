// ops/vocabulary_distance.h: a block a row. The row's gradient is filled as if the teacher were zero; then the
// teacher's terms are put right, which differ from one another.
#include "ordered_sum.cuh"

namespace fles::cuda {
namespace {

constexpr int kThreads = 256;

// A row, and the part of the teacher that is its own.
struct Row {
  const float* weights;
  float* d_weights;
  int V, first, last;

  __device__ Row(const VocabularyDistance& a, const int32_t* offsets)
      : weights(a.weights + size_t{blockIdx.x} * a.V),
        d_weights(a.d_weights + size_t{blockIdx.x} * a.V),
        V(a.V),
        first(offsets[blockIdx.x]),
        last(offsets[blockIdx.x + 1]) {}
};

// parts (B): the row's share of the value. offsets on the device.
__global__ void squared_rows(VocabularyDistance a, const int32_t* offsets, double* parts) {
  const Row row(a, offsets);
  const double share = 1.0 / (static_cast<double>(a.B) * a.V);
  const auto factor = static_cast<float>(2.0 * a.scale * share);
  for (int v = threadIdx.x; v < row.V; v += kThreads) row.d_weights[v] = row.weights[v];
  __syncthreads();
  for (int i = row.first + threadIdx.x; i < row.last; i += kThreads) row.d_weights[a.terms[i]] -= a.values[i];
  __syncthreads();
  double squares = 0;
  for (int v = threadIdx.x; v < row.V; v += kThreads) {
    const float difference = row.d_weights[v];
    squares += static_cast<double>(difference) * difference;
    row.d_weights[v] = factor * difference;
  }
  squares = block_sum<kThreads>(squares);
  if (threadIdx.x == 0) parts[blockIdx.x] = squares * share;
}

__global__ void cosine_rows(VocabularyDistance a, const int32_t* offsets, double* parts) {
  const Row row(a, offsets);
  double product = 0, own = 0, teacher = 0;
  for (int v = threadIdx.x; v < row.V; v += kThreads) own += static_cast<double>(row.weights[v]) * row.weights[v];
  for (int i = row.first + threadIdx.x; i < row.last; i += kThreads) {
    product += static_cast<double>(row.weights[a.terms[i]]) * a.values[i];
    teacher += static_cast<double>(a.values[i]) * a.values[i];
  }
  own = block_sum<kThreads>(own);
  product = block_sum<kThreads>(product);
  teacher = block_sum<kThreads>(teacher);
  const bool zero = own == 0 || teacher == 0;
  const double share = 1.0 / a.B, norms = zero ? 1.0 : sqrt(own) * sqrt(teacher), cosine = zero ? 0.0 : product / norms;
  const float along = zero ? 0.0f : static_cast<float>(a.scale * share * cosine / own);
  for (int v = threadIdx.x; v < row.V; v += kThreads) row.d_weights[v] = zero ? 0.0f : along * row.weights[v];
  if (threadIdx.x == 0) parts[blockIdx.x] = (1.0 - cosine) * share;
  if (zero) return;
  __syncthreads();
  for (int i = row.first + threadIdx.x; i < row.last; i += kThreads) {
    row.d_weights[a.terms[i]] -= static_cast<float>(a.scale * share / norms * a.values[i]);
  }
}

}  // namespace

void vocabulary_distance(void* self, const VocabularyDistance& a) {
  const Op op(self, "vocabulary_distance");
  if (a.B == 0) return add_up(op, nullptr, 0, 0, a.value);
  auto* parts = op.scratch<double>(a.B);
  op.launch(a.kind == VocabularyDistanceKind::kCosine ? cosine_rows : squared_rows, a.B, kThreads, 0, a,
            op.offsets(a.offsets, a.B), parts);
  add_up(op, parts, a.B, 1, a.value);
}

}  // namespace fles::cuda
