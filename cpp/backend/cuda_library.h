// What the library of the CUDA backend exports, under the name fles_cuda_library: a pointer to one of these.
#pragma once
#include <cstdint>
#include <string>

#include "backend/backend.h"

namespace fles {

// Every function may throw fles::Error.
struct CudaLibrary {
  uint64_t fingerprint;                 // table_fingerprint(): compare it before calling anything
  bool emulated;                        // kernels run on the CPU
  int (*count_devices)();               // usable or not, at least 1; ERR_DEVICE_UNAVAILABLE
  int (*first_usable)();                // ERR_DEVICE_UNAVAILABLE with the reason
  std::string (*describe)(int device);  // its name, compute capability and memory
  const Backend* (*open)(int device);   // the same table every time
  // Who has done the products with an epilogue, cuBLASLt or cuBLAS, and how many, in one sentence.
  std::string (*describe_products)(int device);
};

}  // namespace fles
