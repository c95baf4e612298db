// The one header through which this folder sees CUDA. nvcc compiles against the toolkit; with FLES_CUDA_EMULATED any
// C++ compiler does, against the emulator in emulate/, which runs the same kernels on the CPU.
//
// A kernel is written as usual but for these:
//   launches        Op::launch (device.h), not <<< >>>
//   static shared   GPU_SHARED(float, tile, [16][17]);            GPU_SHARED_ALIGN(16, ...) when it is read as float4
//   dynamic shared  GPU_DYNAMIC_SHARED(float, buffer);            16-byte aligned
//   inline PTX      only in ptx.h, each wrapper with its twin in emulate/
#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>

#if FLES_CUDA_EMULATED
#include "emulate/cuda.h"
#include "emulate/ptx.h"
// The emulator aligns an array to exactly A and no better, so that an access that wants more is seen.
#define GPU_SHARED_ALIGN(A, T, name, ...)   \
  typedef T name##_shared_type __VA_ARGS__; \
  static const char name##_site = 0;        \
  name##_shared_type& name =                \
      *static_cast<name##_shared_type*>(::emulate::shared_variable(&name##_site, sizeof(name##_shared_type), (A)))
#define GPU_SHARED(T, name, ...) GPU_SHARED_ALIGN(alignof(T), T, name, __VA_ARGS__)
#define GPU_DYNAMIC_SHARED(T, name) T* name = static_cast<T*>(::emulate::dynamic_shared())
namespace gpu {
using ::emulate::launch;
}
#else
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#ifdef __CUDACC__  // not in sources for the host, whose compiler knows nothing of PTX
#include "ptx.h"
#endif
#define GPU_SHARED_ALIGN(A, T, name, ...) \
  __shared__ __align__(A)                 \
  T name __VA_ARGS__
#define GPU_SHARED(T, name, ...) __shared__ T name __VA_ARGS__
// One array without a type for all kernels: extern arrays of different types under one name would clash.
#define GPU_DYNAMIC_SHARED(T, name)                             \
  extern __shared__ __align__(16) unsigned char gpu_dynamic_[]; \
  T* name = reinterpret_cast<T*>(gpu_dynamic_)
namespace gpu {
// Arguments are converted to the kernel's parameter types.
template <class... P, class... A>
inline cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, cudaStream_t stream,
                          A&&... args) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = stream;
  return cudaLaunchKernelEx(&config, kernel, std::forward<A>(args)...);
}
}  // namespace gpu
#endif
