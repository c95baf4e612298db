// The few functions of cuBLAS and cuBLASLt that products need, declared by hand: no header of them is needed to build,
// and the libraries, 11, 12 or 13, are found at run time (cublas_library.cpp) or emulated (emulate/cublas.cpp,
// emulate/cublas_lt.cpp). Constants are those of their public interfaces; where their headers are installed,
// cublas_library.cpp checks them when it is compiled.
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

// Of cuBLASLt: what becomes of a value x of the product, the bias of its row being added before anything else.
enum Epilogue : uint32_t {
  kNoEpilogue = 1,
  kRelu = 2,
  kBias = 4,
  kReluBias = 6,
  kGelu = 32,  // x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), to an accuracy that is not documented
  kGeluBias = 36
};
constexpr Epilogue with_bias(Epilogue one) { return one == kNoEpilogue ? kBias : Epilogue(one | kBias); }

using Matmul = struct MatmulDescriptor*;
using Layout = struct MatrixLayout*;
using Preference = struct MatmulPreference*;
enum MatmulAttribute : int { kTransposeA = 3, kTransposeB = 4, kEpilogue = 7, kBiasPointer = 8 };
enum PreferenceAttribute : int {
  kMostWorkspace = 1,
  kAlignmentA = 5,
  kAlignmentB = 6,
  kAlignmentC = 7,
  kAlignmentD = 8
};
struct MatmulAlgorithm {
  uint64_t data[8];
};
struct Heuristic {
  MatmulAlgorithm algorithm;
  size_t workspace;  // bytes
  Status status;
  float waves;
  int reserved[4];
};

// The attributes are copied from memory of exactly their size: 4 bytes, or 8 for a pointer and bytes of workspace.
struct LtLibrary {
  int (*create_matmul)(Matmul*, Compute, Type scale);
  int (*destroy_matmul)(Matmul);
  int (*set_matmul)(Matmul, MatmulAttribute, const void* value, size_t bytes);
  int (*create_layout)(Layout*, Type, uint64_t rows, uint64_t columns, int64_t ld);
  int (*destroy_layout)(Layout);
  int (*create_preference)(Preference*);
  int (*destroy_preference)(Preference);
  int (*set_preference)(Preference, PreferenceAttribute, const void* value, size_t bytes);
  int (*find_algorithms)(Handle, Matmul, Layout a, Layout b, Layout c, Layout d, Preference, int most, Heuristic*,
                         int* found);
  // Column-major D = epilogue(alpha op(A) op(B) + beta C). C may be D, in one layout, and is not read when beta is 0.
  int (*multiply)(Handle, Matmul, const void* alpha, const void* A, Layout, const void* B, Layout, const void* beta,
                  const void* C, Layout, void* D, Layout, const MatmulAlgorithm*, void* workspace, size_t bytes,
                  cudaStream_t);
};

struct Library {
  int (*create)(Handle*);
  int (*destroy)(Handle);
  int (*set_stream)(Handle, cudaStream_t);
  int (*set_workspace)(Handle, void* workspace, size_t bytes);
  // Column-major, as in BLAS: C (m, n) = alpha op(A) (m, k) op(B) (k, n) + beta C.
  int (*gemm)(Handle, Operation, Operation, int m, int n, int k, const void* alpha, const void* A, Type, int lda,
              const void* B, Type, int ldb, const void* beta, void* C, Type, int ldc, Compute, Algorithm);
  // All null where cuBLASLt is not there. A handle of cuBLAS is one of cuBLASLt too, as NVIDIA documents.
  LtLibrary lt;
};

// Null where it is not there; `reason` then says why, in one sentence.
const Library* library(const char** reason);

}  // namespace cublas
