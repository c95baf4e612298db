// What cublas.cpp and cublas_lt.cpp have in common: a handle, and the checks of a product before it is queued.
#pragma once
#include "emulate/product.h"

namespace cublas {

struct cublasContext {
  int device;
  cudaStream_t stream;
};

}  // namespace cublas

namespace emulate {

// Combinations of types that this project uses; the emulator refuses others.
bool is_supported(cublas::Type a, cublas::Type b, cublas::Type c, cublas::Compute compute);

// Bytes of a value.
size_t size_of(cublas::Type type);

// Queues it on a stream of the handle's device where its operands lie in device memory; the status, and else an error
// that lasts. The caller holds the lock of the host API and has checked sizes and types.
cublas::Status queue_product(const Product& product, cublas::Handle handle, cudaStream_t stream);

}  // namespace emulate
