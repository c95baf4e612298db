// A warp's part of a matrix product from shared memory, in four arithmetics with one layout of sums, that of the tensor
// cores (PTX ISA, "Matrix Fragments for mma.m16n8k8", ".m16n8k16" and ".m16n8k32"): sum[i][j][2 h + w] of a lane is row
// 16 i + 8 h + lane / 4 and column 8 j + 2 (lane % 4) + w.
#pragma once
#include "gpu.h"

namespace fles::cuda {

// How the second factor lies in shared memory: rows of columns' values, or as it is multiplied.
enum class Factor { kColumns, kRows };

// Float32 with every bit: a multiply-add a product.
struct ExactFloat32 {
  using Element = float;
  using Sum = float;
  static constexpr int kStep = 8;  // of the inner dimension that multiply() takes

  // sum += A (16 I, kStep) B (kStep, 8 J)
  template <Factor F = Factor::kColumns, int I, int J>
  static __device__ __forceinline__ void multiply(float (&sum)[I][J][4], const float* a, int a_stride, const float* b,
                                                  int b_stride, int lane) {
    const int g = lane / 4, t = lane % 4;
    for (int k = 0; k < kStep; ++k) {
      float x[2 * I], y[2 * J];
#pragma unroll
      for (int i = 0; i < 2 * I; ++i) x[i] = a[(8 * i + g) * a_stride + k];
#pragma unroll
      for (int j = 0; j < 2 * J; ++j) {
        const int column = 8 * (j / 2) + 2 * t + j % 2;
        y[j] = F == Factor::kColumns ? b[column * b_stride + k] : b[k * b_stride + column];
      }
#pragma unroll
      for (int i = 0; i < I; ++i)
#pragma unroll
        for (int j = 0; j < J; ++j)
#pragma unroll
          for (int e = 0; e < 4; ++e) sum[i][j][e] += x[2 * i + e / 2] * y[2 * j + e % 2];
    }
  }
};

// Operands rounded to TF32, sums in float32.
struct Tf32 {
  using Element = float;
  using Sum = float;
  static constexpr int kStep = 8;

  template <Factor F = Factor::kColumns, int I, int J>
  static __device__ __forceinline__ void multiply(float (&sum)[I][J][4], const float* a, int a_stride, const float* b,
                                                  int b_stride, int lane) {
    const int g = lane / 4, t = lane % 4;
    unsigned x[I][4], y[J][2];
#pragma unroll
    for (int i = 0; i < I; ++i)
#pragma unroll
      for (int e = 0; e < 4; ++e) x[i][e] = ptx::to_tf32(a[(16 * i + 8 * (e % 2) + g) * a_stride + t + 4 * (e / 2)]);
#pragma unroll
    for (int j = 0; j < J; ++j)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int column = 8 * j + g, k = t + 4 * e;
        y[j][e] = ptx::to_tf32(F == Factor::kColumns ? b[column * b_stride + k] : b[k * b_stride + column]);
      }
#pragma unroll
    for (int i = 0; i < I; ++i)
#pragma unroll
      for (int j = 0; j < J; ++j) ptx::mma_tf32(sum[i][j], x[i], y[j]);
  }
};

// Both factors as the tensor cores read 32 bytes of the inner dimension, by ldmatrix: 16 bfloat16 or 32 int8. Rows
// begin at multiples of 16 bytes; J is even.
template <class Element, int I, int J>
__device__ __forceinline__ void load_factors(unsigned (&x)[I][4], unsigned (&y)[J][2], const Element* a, int a_stride,
                                             const Element* b, int b_stride, int lane) {
  static_assert(J % 2 == 0);
  constexpr int kHalf = 16 / sizeof(Element);
#pragma unroll
  for (int i = 0; i < I; ++i) ptx::load_matrix_x4(x[i], a + (16 * i + lane % 16) * a_stride + lane / 16 * kHalf);
#pragma unroll
  for (int j = 0; j < J; j += 2) {
    unsigned both[4];
    ptx::load_matrix_x4(both, b + (8 * j + lane % 8 + lane / 16 * 8) * b_stride + lane / 8 % 2 * kHalf);
    y[j][0] = both[0], y[j][1] = both[1];
    y[j + 1][0] = both[2], y[j + 1][1] = both[3];
  }
}

// Operands in bfloat16, sums in float32.
struct Bfloat16 {
  using Element = __nv_bfloat16;
  using Sum = float;
  static constexpr int kStep = 16;

  template <int I, int J>
  static __device__ __forceinline__ void multiply(float (&sum)[I][J][4], const Element* a, int a_stride,
                                                  const Element* b, int b_stride, int lane) {
    unsigned x[I][4], y[J][2];
    load_factors(x, y, a, a_stride, b, b_stride, lane);
#pragma unroll
    for (int i = 0; i < I; ++i)
#pragma unroll
      for (int j = 0; j < J; ++j) ptx::mma_bfloat16(sum[i][j], x[i], y[j]);
  }
};

// Whole numbers of -127..127, exact sums.
struct Int8 {
  using Element = int8_t;
  using Sum = int32_t;
  static constexpr int kStep = 32;

  template <int I, int J>
  static __device__ __forceinline__ void multiply(int32_t (&sum)[I][J][4], const Element* a, int a_stride,
                                                  const Element* b, int b_stride, int lane) {
    unsigned x[I][4], y[J][2];
    load_factors(x, y, a, a_stride, b, b_stride, lane);
#pragma unroll
    for (int i = 0; i < I; ++i)
#pragma unroll
      for (int j = 0; j < J; ++j) ptx::mma_int8(sum[i][j], x[i], y[j]);
  }
};

}  // namespace fles::cuda
