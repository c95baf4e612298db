// The few functions of cuBLAS that products need, declared by hand: no header of it is needed to build, and the
// library, 11, 12 or 13, is found at run time (cublas_library.cpp) or emulated (emulate/cublas.cpp). Constants are
// those of its public interface; where its headers are installed, cublas_library.cpp checks them when it is compiled.
#pragma once
#include "gpu.h"

namespace cublas {

using Handle = struct cublasContext*;
enum Operation : int { kPlain = 0, kTransposed = 1 };
enum Compute : int { kCompute32F = 68, kCompute32I = 72, kComputeTf32 = 77 };
enum Algorithm : int { kDefault = -1 };
enum Type : int { kFloat32 = 0, kInt8 = 3, kInt32 = 10, kBfloat16 = 14 };  // of cudaDataType
enum Status : int {
  kSuccess = 0,
  kNotInitialized = 1,
  kAllocationFailed = 3,
  kInvalidValue = 7,
  kExecutionFailed = 13,
  kNotSupported = 15
};

struct Library {
  int (*create)(Handle*);
  int (*destroy)(Handle);
  int (*set_stream)(Handle, cudaStream_t);
  int (*set_workspace)(Handle, void* workspace, size_t bytes);
  // Column-major, as in BLAS: C (m, n) = alpha op(A) (m, k) op(B) (k, n) + beta C.
  int (*gemm)(Handle, Operation, Operation, int m, int n, int k, const void* alpha, const void* A, Type, int lda,
              const void* B, Type, int ldb, const void* beta, void* C, Type, int ldc, Compute, Algorithm);
};

// Null where it is not there; `reason` then says why, in one sentence.
const Library* library(const char** reason);

}  // namespace cublas
