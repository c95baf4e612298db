// ops/gather_rows.h: a block a row.
#include "copy_rows.cuh"

namespace fles::cuda {

void gather_rows(void* self, const GatherRowsForward& a) {
  if (a.N == 0) return;
  const Op op(self, "gather_rows");
  op.launch(copy_rows, a.N, kCopyThreads, 0, a.in, a.rows, a.out, nullptr, a.C);
}

}  // namespace fles::cuda
