#include "core/error.h"
#include "operand.h"
#include "reduce.cuh"

namespace fles::cuda {
namespace {

constexpr int kRows = 4;  // a block, a warp each

template <class Element>
__global__ void convert(const float* in, Element* out, int64_t count, int K, int stride) {
  const int64_t row = int64_t{blockIdx.x} * kRows + threadIdx.x / 32;
  if (row >= count) return;
  const float* from = in + row * K;
  Element* to = out + row * stride;
  for (int k = threadIdx.x % 32; k < stride; k += 32) to[k] = Element(k < K ? from[k] : 0.0f);
}

__global__ void convert_int8(const float* in, int8_t* out, float* scales, int64_t count, int K, int stride) {
  const int64_t row = int64_t{blockIdx.x} * kRows + threadIdx.x / 32;
  if (row >= count) return;
  const int lane = threadIdx.x % 32;
  const float* from = in + row * K;
  float largest = 0;
  for (int k = lane; k < K; k += 32) largest = fmaxf(largest, fabsf(from[k]));
  largest = warp_max(largest);
  const float inverse = largest > 0 ? 127 / largest : 0.0f;
  for (int k = lane; k < stride; k += 32) {
    out[row * stride + k] = k < K ? static_cast<int8_t>(rintf(from[k] * inverse)) : int8_t{0};
  }
  if (lane == 0) scales[row] = largest / 127;
}

}  // namespace

void convert_rows(const Op& op, DataType type, const float* rows, int64_t first, int64_t count, int K, void* to,
                  int64_t all_rows) {
  if (count == 0 || K == 0) return;
  const int stride = stride_of(type, K);
  const dim3 grid = blocks_of(count, kRows), block = kRows * kWarp;
  switch (type) {
    case DataType::kFloat32:
      op.launch(convert<float>, grid, block, 0, rows, static_cast<float*>(to) + first * stride, count, K, stride);
      return;
    case DataType::kBfloat16:
      op.launch(convert<__nv_bfloat16>, grid, block, 0, rows, static_cast<__nv_bfloat16*>(to) + first * stride, count,
                K, stride);
      return;
    case DataType::kInt8: {
      auto* scales = reinterpret_cast<float*>(static_cast<char*>(to) + scales_offset(all_rows, K));
      op.launch(convert_int8, grid, block, 0, rows, static_cast<int8_t*>(to) + first * stride, scales + first, count, K,
                stride);
      return;
    }
    case DataType::kInt16:
      fail("ERR_ARGUMENT_VALUE", "type is \"int16\", expected float32 | bfloat16 | int8 on a device");
  }
}

Operand converted(const Op& op, DataType type, const float* in, int64_t rows, int K, void* room) {
  convert_rows(op, type, in, 0, rows, K, room, rows);
  return operand_of({static_cast<int>(rows), K, type, room});
}

Operand operand_from(const Op& op, DataType type, const float* in, int64_t rows, int K) {
  if (is_operand(type, in, K)) return {in, K, nullptr, cublas::kFloat32};
  return converted(op, type, in, rows, K, op.scratch<char>(operand_bytes(type, rows, K)));
}

}  // namespace fles::cuda
