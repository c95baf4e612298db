// ops/gather_rows_backward.h: a block a row.
#include "copy_rows.cuh"

namespace fles::cuda {

void gather_rows_backward(void* self, const GatherRowsBackward& a) {
  if (a.N == 0) return;
  const Op op(self, "gather_rows_backward");
  op.launch(copy_rows, a.N, kCopyThreads, 0, a.d_out, nullptr, a.d_in, a.rows, a.C);
}

}  // namespace fles::cuda
