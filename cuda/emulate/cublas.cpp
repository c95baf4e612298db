// cuBLAS on the CPU: the checks that the library makes, and that operands lie in device memory.
#include "cublas.h"

#include <algorithm>
#include <cstdio>

#include "emulate/errors.h"
#include "emulate/log.h"
#include "emulate/memory.h"
#include "emulate/product.h"
#include "emulate/streams.h"

namespace cublas {

struct cublasContext {
  int device;
  cudaStream_t stream;
};

namespace {

using Held = std::scoped_lock<std::recursive_mutex>;

int create(Handle* handle) {
  const Held held(emulate::host_lock());
  emulate::log("create cublas");
  *handle = new cublasContext{emulate::this_device(), nullptr};
  return kSuccess;
}

int destroy(Handle handle) {
  if (handle == nullptr) return kNotInitialized;
  const Held held(emulate::host_lock());
  emulate::log("destroy cublas");
  delete handle;
  return kSuccess;
}

int set_stream(Handle handle, cudaStream_t stream) {
  if (handle == nullptr) return kNotInitialized;
  handle->stream = stream;
  return kSuccess;
}

int set_workspace(Handle handle, void* workspace, size_t bytes) {
  if (handle == nullptr) return kNotInitialized;
  const Held held(emulate::host_lock());
  const bool aligned = reinterpret_cast<uintptr_t>(workspace) % 256 == 0;
  return aligned && (bytes == 0 || emulate::in_allocation(workspace, bytes)) ? kSuccess : kInvalidValue;
}

size_t size_of(Type type) {
  switch (type) {
    case kFloat32:
    case kInt32:
      return 4;
    case kBfloat16:
      return 2;
    case kInt8:
      return 1;
  }
  return 0;
}

// Combinations of cublasGemmEx that this project uses; the emulator refuses others.
bool supported(Type a, Type b, Type c, Compute compute) {
  if (a != b) return false;
  switch (compute) {
    case kCompute32F:
      return (a == kFloat32 && c == kFloat32) || (a == kBfloat16 && (c == kFloat32 || c == kBfloat16));
    case kComputeTf32:
      return a == kFloat32 && c == kFloat32;
    case kCompute32I:
      return a == kInt8 && c == kInt32;
  }
  return false;
}

// Whether a column-major matrix lies in device memory, each value where its type may be.
bool inside(const void* memory, Type type, int rows, int columns, int ld) {
  if (rows == 0 || columns == 0) return true;
  const size_t bytes = size_of(type) * (static_cast<size_t>(ld) * (columns - 1) + rows);
  return reinterpret_cast<uintptr_t>(memory) % size_of(type) == 0 && emulate::in_allocation(memory, bytes);
}

int gemm(Handle handle, Operation op_a, Operation op_b, int m, int n, int k, const void* alpha, const void* a,
         Type a_type, int lda, const void* b, Type b_type, int ldb, const void* beta, void* c, Type c_type, int ldc,
         Compute compute, Algorithm) {
  if (handle == nullptr) return kNotInitialized;
  const Held held(emulate::host_lock());
  const bool plain_a = op_a == kPlain, plain_b = op_b == kPlain;
  const int a_rows = plain_a ? m : k, a_columns = plain_a ? k : m;
  const int b_rows = plain_b ? k : n, b_columns = plain_b ? n : k;
  if (m < 0 || n < 0 || k < 0 || alpha == nullptr || beta == nullptr) return kInvalidValue;
  if (lda < std::max(1, a_rows) || ldb < std::max(1, b_rows) || ldc < std::max(1, m)) return kInvalidValue;
  if (!supported(a_type, b_type, c_type, compute)) return kNotSupported;
  const bool integer = compute == kCompute32I;
  if (integer && (lda % 4 != 0 || ldb % 4 != 0 || ldc % 4 != 0)) return kNotSupported;
  if (m == 0 || n == 0) return kSuccess;

  emulate::Stream* stream = emulate::find_stream(handle->stream);
  if (stream == nullptr || emulate::this_device() != handle->device || device_of(*stream) != handle->device) {
    emulate::failed(cudaErrorInvalidResourceHandle, "gemm: the handle or its stream is not one of the current device");
    return kExecutionFailed;
  }
  if (!inside(a, a_type, a_rows, a_columns, lda) || !inside(b, b_type, b_rows, b_columns, ldb) ||
      !inside(c, c_type, m, n, ldc)) {
    char report[120];
    std::snprintf(report, sizeof report, "gemm %d x %d x %d: an operand does not lie in device memory", m, n, k);
    emulate::failed(cudaErrorLaunchFailure, report);
    return kExecutionFailed;
  }
  if (emulate::lasting_error() != cudaSuccess) return kExecutionFailed;

  emulate::Product product{};
  product.transpose_a = !plain_a;
  product.transpose_b = !plain_b;
  product.m = m;
  product.n = n;
  product.k = k;
  product.alpha = integer ? *static_cast<const int32_t*>(alpha) : *static_cast<const float*>(alpha);
  product.beta = integer ? *static_cast<const int32_t*>(beta) : *static_cast<const float*>(beta);
  product.a = a;
  product.lda = lda;
  product.b = b;
  product.ldb = ldb;
  product.c = c;
  product.ldc = ldc;
  product.input = a_type;
  product.output = c_type;
  product.tf32 = compute == kComputeTf32;
  emulate::enqueue(*stream, [product] {
    const emulate::OnDevice scope;
    emulate::multiply(product);
  });
  return kSuccess;
}

}  // namespace

const Library* library(const char** reason) {
  static constexpr Library kLibrary = {create, destroy, set_stream, set_workspace, gemm};
  if (reason != nullptr) *reason = nullptr;
  return &kLibrary;
}

}  // namespace cublas
