// ops/linear_backward.h: two cuBLAS products and the sums of columns.
#include "column_sums.h"
#include "operand.h"
#include "ops/checks.h"

namespace fles::cuda {

void linear_backward(void* self, const LinearBackward& a) {
  check(a);
  const Op op(self, "linear_backward");
  if (a.T == 0 || a.N == 0 || a.K == 0) {
    // Without outputs there is no product: the gradient of the input is zero.
    if (a.d_in != nullptr) op.device().clear(a.d_in, sizeof(float) * a.T * a.K);
  } else {
    const Operand d_out = operand_from(op, a.type, a.d_out, a.T, a.N);
    if (a.d_in != nullptr) {
      const Operand weight = operand_from(op, a.type, a.weight, a.N, a.K);
      op.device().multiply({.m = a.T,
                            .n = a.K,
                            .k = a.N,
                            .a = d_out.data,
                            .a_type = d_out.type,
                            .lda = d_out.stride,
                            .b = weight.data,
                            .b_type = weight.type,
                            .ldb = weight.stride,
                            .c = a.d_in,
                            .c_type = cublas::kFloat32,
                            .ldc = a.K});
    }
    if (a.d_weight != nullptr) {
      const Operand in = operand_from(op, a.type, a.in, a.T, a.K);
      op.device().multiply({.transpose_a = true,
                            .m = a.N,
                            .n = a.K,
                            .k = a.T,
                            .a = d_out.data,
                            .a_type = d_out.type,
                            .lda = d_out.stride,
                            .b = in.data,
                            .b_type = in.type,
                            .ldb = in.stride,
                            .c = a.d_weight,
                            .c_type = cublas::kFloat32,
                            .ldc = a.K,
                            .beta = 1});
    }
  }
  if (a.d_bias != nullptr) add_column_sums(op, a.d_out, a.T, a.N, a.d_bias);
}

}  // namespace fles::cuda
