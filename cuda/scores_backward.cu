// ops/scores_backward.h: a thread a term for the part of the squares, to which cuBLAS products are added.
#include "term_grid.cuh"

namespace fles::cuda {
namespace {

__global__ void square_gradients(const float* rows, const float* d_squares, float* d_rows, int B, int V) {
  const int v = grid_term();
  if (v >= V) return;
  for (int b = blockIdx.y; b < B; b += gridDim.y) {
    const size_t at = size_t(b) * V + v;
    d_rows[at] = 2.0f * d_squares[b] * rows[at];
  }
}

// d_rows (rows, V) = 2 d_squares own + d_scores others, of d_scores (Q, D) or its transpose.
void gradients(const Op& op, const ScoresBackward& a, bool transposed, const float* own, const float* d_squares,
               const float* others, float* d_rows) {
  const int rows = transposed ? a.D : a.Q, summed = transposed ? a.Q : a.D;
  if (rows == 0) return;
  op.launch(square_gradients, term_grid(rows, a.V), kTermThreads, 0, own, d_squares, d_rows, rows, a.V);
  if (summed == 0) return;
  op.device().multiply({.transpose_a = transposed,
                        .m = rows,
                        .n = a.V,
                        .k = summed,
                        .a = a.d_scores,
                        .a_type = cublas::kFloat32,
                        .lda = a.D,
                        .b = others,
                        .b_type = cublas::kFloat32,
                        .ldb = a.V,
                        .c = d_rows,
                        .c_type = cublas::kFloat32,
                        .ldc = a.V,
                        .beta = 1,
                        .exact = true});
}

}  // namespace

void scores_backward(void* self, const ScoresBackward& a) {
  if (a.V == 0) return;
  const Op op(self, "scores_backward");
  gradients(op, a, false, a.queries, a.d_query_squares, a.documents, a.d_queries);
  gradients(op, a, true, a.documents, a.d_document_squares, a.queries, a.d_documents);
}

}  // namespace fles::cuda
