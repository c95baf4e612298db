// cuBLAS on the CPU: the checks that the library makes, and that operands lie in device memory.
#include "cublas.h"

#include <algorithm>

#include "emulate/configuration.h"
#include "emulate/cublas_lt.h"
#include "emulate/errors.h"
#include "emulate/log.h"
#include "emulate/memory.h"
#include "emulate/queued_product.h"
#include "emulate/streams.h"

namespace cublas {
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

int gemm(Handle handle, Operation op_a, Operation op_b, int m, int n, int k, const void* alpha, const void* a,
         Type a_type, int lda, const void* b, Type b_type, int ldb, const void* beta, void* c, Type c_type, int ldc,
         Compute compute, Algorithm) {
  if (handle == nullptr) return kNotInitialized;
  const Held held(emulate::host_lock());
  const bool plain_a = op_a == kPlain, plain_b = op_b == kPlain;
  if (m < 0 || n < 0 || k < 0 || alpha == nullptr || beta == nullptr) return kInvalidValue;
  if (lda < std::max(1, plain_a ? m : k) || ldb < std::max(1, plain_b ? k : n) || ldc < std::max(1, m)) {
    return kInvalidValue;
  }
  if (!emulate::is_supported(a_type, b_type, c_type, compute)) return kNotSupported;
  const bool integer = compute == kCompute32I;
  if (integer && (lda % 4 != 0 || ldb % 4 != 0 || ldc % 4 != 0)) return kNotSupported;
  if (m == 0 || n == 0) return kSuccess;
  emulate::log("multiply");

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
  product.addend = c;
  product.ldc = ldc;
  product.input = a_type;
  product.output = c_type;
  product.tf32 = compute == kComputeTf32;
  product.epilogue = kNoEpilogue;
  return emulate::queue_product(product, handle, handle->stream);
}

}  // namespace

const Library* library(const char** reason) {
  static const Library kLibrary = {
      create,     destroy,
      set_stream, set_workspace,
      gemm,       emulate::configuration().cublas_lt == emulate::CublasLt::kAbsent ? LtLibrary{} : lt_library()};
  if (reason != nullptr) *reason = nullptr;
  return &kLibrary;
}

}  // namespace cublas
