// A matrix product of a device, and what may follow it in the same kernel.
#pragma once
#include "cublas.h"

namespace fles::cuda {

// Row-major C (m, n) = op(A) op(B) + beta C, op(A) (m, k), op(B) (k, n); lda, ldb and ldc are of rows.
struct Product {
  bool transpose_a = false, transpose_b = false;
  int m, n, k;
  const void* a;
  cublas::Type a_type;
  int lda;
  const void* b;
  cublas::Type b_type;
  int ldb;
  void* c;
  cublas::Type c_type;
  int ldc;
  float beta = 0;
  bool exact = false;  // float32 with every bit, whatever Device::tf32() says
};

// C = activation(op(A) op(B) + addend + bias), in place of what Product::beta says.
struct ProductEpilogue {
  const float* bias = nullptr;    // (n), or null
  const float* addend = nullptr;  // (m, n) as C is, which it may be, or null
  cublas::Epilogue activation = cublas::kNoEpilogue;
};

}  // namespace fles::cuda
