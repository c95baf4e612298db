// A weight matrix [N, K] in the layout that one backend's matrix products read. Made by Backend::create_packed, filled
// by Backend::pack_rows, never changed afterwards.
#pragma once
#include <cstdint>
#include <initializer_list>

namespace fles {

// Arithmetic of a matrix product. Inputs, sums and outputs are float32 always.
//   bfloat16  both operands rounded to bfloat16, products and sums in float32
//   int8      weights as whole numbers of -127..127 times one scale a row (output channel), inputs likewise with one
//             scale a row (token), found when the row is read; the sums are exact. |x| max / 127 is the scale.
//   int16     weights and inputs as whole numbers times one scale a row, found likewise; the sums are exact. The row's
//             L2 norm, rounded up to five bits, / 32767 is the scale. Stands for bfloat16 on processors that are faster
//             in whole numbers (Backend::sixteen_bits), and no device has it.
enum class DataType : int32_t { kFloat32, kBfloat16, kInt8, kInt16 };
inline constexpr std::initializer_list<const char*> kDataTypeNames = {"float32", "bfloat16", "int8", "int16"};
constexpr int kDataTypes = 4, kDeviceTypes = 3;  // of these, the first ones are those of devices
constexpr int bytes_of(DataType type) { return type == DataType::kFloat32 ? 4 : type == DataType::kInt8 ? 1 : 2; }

// What else than the operands may decide how a product is rounded: nothing, so that a row (a token, a text) has the
// same bits whatever stands beside it in the batch; or how many rows there are, so that it is computed in the fastest
// way. Neither depends on the number of threads.
enum class Numerics : int32_t { kBatchInvariant, kFast };

struct PackedMatrix {
  int N = 0, K = 0;
  DataType type = DataType::kFloat32;
  void* data = nullptr;  // owned by the backend; freed by Backend::release_packed
};

}  // namespace fles
