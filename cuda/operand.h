// Matrices as products read them: rows of float32, bfloat16 or int8 that begin at multiples of 16 bytes, filled up with
// zeros, so that 16 bytes can be copied at once and no product has a rest.
#pragma once
#include "device.h"

namespace fles::cuda {

// Elements from one row to the next.
constexpr int stride_of(DataType type, int K) {
  const int quantum = 16 / bytes_of(type);
  return (K + quantum - 1) / quantum * quantum;
}
// Where the scales of int8 rows begin, in bytes: behind rows up to a multiple of 4, since cuBLAS multiplies whole
// fours.
constexpr size_t scales_offset(int64_t rows, int K) {
  return (static_cast<size_t>((rows + 3) / 4 * 4) * stride_of(DataType::kInt8, K) + 255) / 256 * 256;
}
constexpr size_t operand_bytes(DataType type, int64_t rows, int K) {
  return type == DataType::kInt8 ? scales_offset(rows, K) + static_cast<size_t>(rows) * sizeof(float)
                                 : static_cast<size_t>(rows) * stride_of(type, K) * bytes_of(type);
}

struct Operand {
  const void* data;
  int stride;           // elements
  const float* scales;  // of int8 rows
  cublas::Type type;
};

inline cublas::Type type_of(DataType type) {
  return type == DataType::kFloat32    ? cublas::kFloat32
         : type == DataType::kBfloat16 ? cublas::kBfloat16
                                       : cublas::kInt8;
}

inline Operand operand_of(const PackedMatrix& matrix) {
  const auto* data = static_cast<const char*>(matrix.data);
  return {data, stride_of(matrix.type, matrix.K),
          matrix.type == DataType::kInt8 ? reinterpret_cast<const float*>(data + scales_offset(matrix.N, matrix.K))
                                         : nullptr,
          type_of(matrix.type)};
}

// Rows [first, first + count) of `to` from float32 rows on the device.
void convert_rows(const Op& op, DataType type, const float* rows, int64_t first, int64_t count, int K, void* to,
                  int64_t all_rows);

// `in` (rows, K) as an operand in `room`, which has operand_bytes(type, rows, K).
Operand converted(const Op& op, DataType type, const float* in, int64_t rows, int K, void* room);

// Whether rows of float32 are operands as they are.
inline bool is_operand(DataType type, const float* rows, int K) {
  return type == DataType::kFloat32 && stride_of(type, K) == K && reinterpret_cast<uintptr_t>(rows) % 16 == 0;
}

// `in` (rows, K) as an operand: itself where it can be, else in scratch memory.
Operand operand_from(const Op& op, DataType type, const float* in, int64_t rows, int K);

}  // namespace fles::cuda
