// The matrix product behind cublas.cpp and cublas_lt.cpp.
#pragma once
#include <cstdint>

#include "cublas.h"

namespace emulate {

// Column-major C (m, n) = epilogue(alpha op(A) (m, k) op(B) (k, n) + beta addend + bias). A and B are float32 or
// bfloat16 and C either, or A and B are int8 and C int32, without an epilogue; the addend, which may be C, is not read
// when beta is 0.
struct Product {
  bool transpose_a, transpose_b;
  int m, n, k;
  double alpha, beta;
  const void* a;
  int64_t lda;
  const void* b;
  int64_t ldb;
  void* c;
  const void* addend;
  int64_t ldc;  // of both
  cublas::Type input, output;
  bool tf32;          // operands are rounded to TF32
  const float* bias;  // (m), or null
  cublas::Epilogue epilogue;
};

// A value of C is one chain of float32 sums over k, in blocks whose size is fixed: it depends neither on what else is
// in the matrices nor on the number of threads.
void multiply(const Product& product);

}  // namespace emulate
