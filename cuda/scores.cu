// ops/scores.h: a cuBLAS product, and a block a row for the squares.
//
// cuBLAS chooses how it sums by the shape of the product, so that the last bits of a score may depend on how many rows
// there are, which the CPU backend rules out. For the same shapes they are the same in every run.
#include "device.h"
#include "reduce.cuh"

namespace fles::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void square_rows(const float* rows, float* squares, int V) {
  const float* row = rows + size_t{blockIdx.x} * V;
  float sum = 0;
  for (int v = threadIdx.x; v < V; v += kThreads) sum += row[v] * row[v];
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) squares[blockIdx.x] = sum;
}

}  // namespace

void scores(void* self, const ScoresForward& a) {
  const Op op(self, "scores");
  if (a.Q > 0) op.launch(square_rows, a.Q, kThreads, 0, a.queries, a.query_squares, a.V);
  if (a.D > 0) op.launch(square_rows, a.D, kThreads, 0, a.documents, a.document_squares, a.V);
  if (a.Q == 0 || a.D == 0) return;
  if (a.V == 0) return op.device().clear(a.scores, static_cast<size_t>(a.Q) * a.D * sizeof(float));
  op.device().multiply({.transpose_b = true,
                        .m = a.Q,
                        .n = a.D,
                        .k = a.V,
                        .a = a.queries,
                        .a_type = cublas::kFloat32,
                        .lda = a.V,
                        .b = a.documents,
                        .b_type = cublas::kFloat32,
                        .ldb = a.V,
                        .c = a.scores,
                        .c_type = cublas::kFloat32,
                        .ldc = a.D,
                        .exact = true});
}

}  // namespace fles::cuda
