// ops/linear.h: a cuBLAS product, then what follows it in one pass over the result.
#include "activation_function.cuh"
#include "operand.h"

namespace fles::cuda {
namespace {

constexpr int kThreads = 256;

struct Epilogue {
  const float *bias, *residual;
  const float *row_scales, *column_scales;  // of an int8 product
  float* out;
  int T, N;
  Activation activation;
};

template <class Sum>
__global__ void finish(Epilogue e, const Sum* sums, int stride) {
  const int column = blockIdx.x * kThreads + threadIdx.x;
  if (column >= e.N) return;
  const float bias = e.bias == nullptr ? 0.0f : e.bias[column];
  const float scale = e.column_scales == nullptr ? 0.0f : e.column_scales[column];
  for (int row = blockIdx.y; row < e.T; row += gridDim.y) {
    float x = static_cast<float>(sums[int64_t{row} * stride + column]);
    if (e.row_scales != nullptr) x *= e.row_scales[row] * scale;
    x = activate(e.activation, x + bias);
    const int64_t i = int64_t{row} * e.N + column;
    e.out[i] = e.residual == nullptr ? x : x + e.residual[i];
  }
}

}  // namespace

void linear(void* self, const LinearForward& a) {
  if (a.T == 0 || a.N == 0) return;
  const Op op(self, "linear");
  const DataType type = a.weight->type;
  const Operand in = operand_from(op, type, a.in, a.T, a.K), weight = operand_of(*a.weight);
  const bool whole = type == DataType::kInt8;
  // A residual may be the output itself, and whole sums have rows of their own.
  const int stride = whole ? stride_of(DataType::kFloat32, a.N) : a.N;
  void* sums = a.out;
  if (whole || a.residual == a.out) sums = op.scratch<float>(static_cast<size_t>(a.T) * stride);
  op.device().multiply({.transpose_b = true,
                        .m = a.T,
                        .n = stride,  // some devices want that in fours too; sums beyond N are not read
                        .k = whole ? in.stride : a.K,  // cuBLAS wants whole products in fours; the rest is zeros
                        .a = in.data,
                        .a_type = in.type,
                        .lda = in.stride,
                        .b = weight.data,
                        .b_type = weight.type,
                        .ldb = weight.stride,
                        .c = sums,
                        .c_type = whole ? cublas::kInt32 : cublas::kFloat32,
                        .ldc = stride});
  if (sums == a.out && a.bias == nullptr && a.residual == nullptr && a.activation == Activation::kNone) return;
  const Epilogue epilogue{a.bias, a.residual, in.scales, weight.scales, a.out, a.T, a.N, a.activation};
  constexpr int kMostBlocks = 65535;
  const dim3 grid(blocks_of(a.N, kThreads), a.T < kMostBlocks ? a.T : kMostBlocks);
  if (whole) {
    op.launch(finish<int32_t>, grid, kThreads, 0, epilogue, static_cast<const int32_t*>(sums), stride);
  } else {
    op.launch(finish<float>, grid, kThreads, 0, epilogue, static_cast<const float*>(sums), stride);
  }
}

}  // namespace fles::cuda
