#include "emulate/queued_product.h"

#include <cstdio>

#include "emulate/errors.h"
#include "emulate/memory.h"
#include "emulate/streams.h"

namespace emulate {
namespace {

// Whether a column-major matrix lies in device memory, each value where its type may be.
bool inside(const void* memory, cublas::Type type, int rows, int columns, int64_t ld) {
  if (rows == 0 || columns == 0) return true;
  const size_t bytes = size_of(type) * (static_cast<size_t>(ld) * (columns - 1) + rows);
  return reinterpret_cast<uintptr_t>(memory) % size_of(type) == 0 && in_allocation(memory, bytes);
}

}  // namespace

size_t size_of(cublas::Type type) {
  switch (type) {
    case cublas::kFloat32:
    case cublas::kInt32:
      return 4;
    case cublas::kBfloat16:
      return 2;
    case cublas::kInt8:
      return 1;
  }
  return 0;
}

bool is_supported(cublas::Type a, cublas::Type b, cublas::Type c, cublas::Compute compute) {
  using enum cublas::Type;
  if (a != b) return false;
  switch (compute) {
    case cublas::kCompute32F:
      return (a == kFloat32 && c == kFloat32) || (a == kBfloat16 && (c == kFloat32 || c == kBfloat16));
    case cublas::kComputeTf32:
      return a == kFloat32 && c == kFloat32;
    case cublas::kCompute32I:
      return a == kInt8 && c == kInt32;
  }
  return false;
}

cublas::Status queue_product(const Product& p, cublas::Handle handle, cudaStream_t of) {
  Stream* stream = find_stream(of);
  if (stream == nullptr || this_device() != handle->device || device_of(*stream) != handle->device) {
    failed(cudaErrorInvalidResourceHandle, "a product: the handle or its stream is not one of the current device");
    return cublas::kExecutionFailed;
  }
  const int a_rows = p.transpose_a ? p.k : p.m, a_columns = p.transpose_a ? p.m : p.k;
  const int b_rows = p.transpose_b ? p.n : p.k, b_columns = p.transpose_b ? p.k : p.n;
  const bool whole = inside(p.a, p.input, a_rows, a_columns, p.lda) && inside(p.b, p.input, b_rows, b_columns, p.ldb) &&
                     inside(p.c, p.output, p.m, p.n, p.ldc) &&
                     (p.beta == 0 || inside(p.addend, p.output, p.m, p.n, p.ldc)) &&
                     (p.bias == nullptr || inside(p.bias, cublas::kFloat32, p.m, 1, p.m));
  if (!whole) {
    char report[120];
    std::snprintf(report, sizeof report, "a product %d x %d x %d: an operand does not lie in device memory", p.m, p.n,
                  p.k);
    failed(cudaErrorLaunchFailure, report);
    return cublas::kExecutionFailed;
  }
  if (lasting_error() != cudaSuccess) return cublas::kExecutionFailed;
  enqueue(*stream, [p] {
    const OnDevice scope;
    multiply(p);
  });
  return cublas::kSuccess;
}

}  // namespace emulate
