// ops/linear.h: a product that cuBLASLt does with what follows it, or one of cuBLAS, and what is left in one pass over
// the result.
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

// Has cuBLASLt multiply and do as much of the rest as it can, which is taken out of `rest`. False where it does
// nothing. It adds before an activation, so that a residual is its own only where there is none. erf is not what it
// approximates, and how well it does is not documented: its GELU is not for where every bit counts.
bool multiply_fused(const Op& op, const Product& product, Epilogue& rest) {
  const bool adds = rest.activation == Activation::kNone;
  ProductEpilogue epilogue{.bias = rest.bias, .addend = adds ? rest.residual : nullptr};
  if (rest.activation == Activation::kRelu) epilogue.activation = cublas::kRelu;
  if (rest.activation == Activation::kGeluNew && op.device().tf32()) epilogue.activation = cublas::kGelu;
  if (!op.device().multiply(product, epilogue)) return false;
  rest.bias = nullptr;
  if (adds) rest.residual = nullptr;
  if (epilogue.activation != cublas::kNoEpilogue) rest.activation = Activation::kNone;
  return true;
}

bool is_done(const Epilogue& e) {
  return e.bias == nullptr && e.residual == nullptr && e.row_scales == nullptr && e.activation == Activation::kNone;
}

}  // namespace

void linear(void* self, const LinearForward& a) {
  if (a.T == 0 || a.N == 0) return;
  const Op op(self, "linear");
  const DataType type = a.weight->type;
  const Operand in = operand_from(op, type, a.in, a.T, a.K), weight = operand_of(*a.weight);
  const bool whole = type == DataType::kInt8;
  // Whole sums have rows of their own.
  const int stride = whole ? stride_of(DataType::kFloat32, a.N) : a.N;
  Product product{.transpose_b = true,
                  .m = a.T,
                  .n = stride,                   // some devices want that in fours too; sums beyond N are not read
                  .k = whole ? in.stride : a.K,  // cuBLAS wants whole products in fours; the rest is zeros
                  .a = in.data,
                  .a_type = in.type,
                  .lda = in.stride,
                  .b = weight.data,
                  .b_type = weight.type,
                  .ldb = weight.stride,
                  .c = a.out,
                  .c_type = whole ? cublas::kInt32 : cublas::kFloat32,
                  .ldc = stride};
  Epilogue rest{a.bias, a.residual, in.scales, weight.scales, a.out, a.T, a.N, a.activation};
  // A residual that is read after the product may be the output itself.
  const auto sums_beside = [&] { product.c = op.scratch<float>(static_cast<size_t>(a.T) * stride); };
  if (whole || (a.residual == a.out && a.activation != Activation::kNone)) sums_beside();
  if (whole || is_done(rest) || !multiply_fused(op, product, rest)) {
    if (a.residual == a.out && product.c == a.out) sums_beside();
    op.device().multiply(product);
  }
  if (is_done(rest)) return;
  constexpr int kMostBlocks = 65535;
  const dim3 grid(blocks_of(a.N, kThreads), a.T < kMostBlocks ? a.T : kMostBlocks);
  if (whole) {
    op.launch(finish<int32_t>, grid, kThreads, 0, rest, static_cast<const int32_t*>(product.c), stride);
  } else {
    op.launch(finish<float>, grid, kThreads, 0, rest, static_cast<const float*>(product.c), stride);
  }
}

}  // namespace fles::cuda
