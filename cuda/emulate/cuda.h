// CUDA for kernels and host code that a C++ compiler compiles: they run on the CPU.
//
//   - A block's threads are fibers on one thread of the operating system; blocks are spread over several. A CUDA
//     thread runs until it comes to a collective (a barrier, __syncwarp, a shuffle, a vote, an mma).
//   - A warp collective is executed by its last lane on behalf of all lanes of the mask.
//   - What CUDA leaves undefined gives NaN or is an error: cudaErrorLaunchFailure or cudaErrorIllegalAddress, and a
//     line on stderr. As on a device, everything fails after that.
//   - The host API may be called from any thread. One lock is held while it works, also while kernels run.
//   - Built with AddressSanitizer, UBSan or ThreadSanitizer, kernels are checked as any C++ is: shared and device
//     memory have red zones, and CUDA threads race as threads do. For ThreadSanitizer, which needs clang, this folder
//     is compiled without -fsanitize=thread and with -DFLES_EMULATE_TSAN=1: the engine runs on all fibers.
//
// Environment
//   FLES_EMULATE_THREADS=n           threads that blocks are spread over; 1 under ThreadSanitizer
//   FLES_EMULATE_SCHEDULE=forward|reverse|random[:seed]   the order of blocks, and of threads that may run
//   FLES_EMULATE_STREAMS=eager|lazy[:seed]   lazy: work runs when something waits for it, streams in any legal order
//   FLES_EMULATE_FAIL_ALLOCATION=n   the n-th cudaMalloc fails
//   FLES_EMULATE_FAIL_PINNED=n       the n-th allocation of pinned memory fails
//   FLES_EMULATE_DEVICES=n           devices, 1 unless set; with 0 there is none
//   FLES_EMULATE_CAPABILITY=n[,n..]  10 times the compute capability of each device, the last that of all others; 80
//                                    unless set. It decides how much shared memory a block may have
//   FLES_EMULATE_CUBLASLT=present|absent|unable|older|refusing
//                                                 whether cuBLASLt is there, has an algorithm for anything, knows
//                                                 epilogues, and does what it has found an algorithm for
//   FLES_EMULATE_ABORT=1             abort() at an error, for a debugger
//   FLES_EMULATE_LOG=path            a file for what the host asks of the device (log.h)
#pragma once
#include <cassert>
#include <cstdio>
#include <tuple>
#include <type_traits>
#include <utility>

#include "interface.h"
#include "intrinsics.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(n) __attribute__((aligned(n)))
#define __grid_constant__
#define __launch_bounds__(...)
// It would be a variable of the process; what a block shares is declared with a macro of gpu.h.
#define __shared__                                              \
  static_assert(false, "use GPU_SHARED or GPU_DYNAMIC_SHARED"); \
  static

#define threadIdx (::emulate::coordinates.thread)
#define blockIdx (::emulate::coordinates.block)
#define blockDim (::emulate::coordinates.block_size)
#define gridDim (::emulate::coordinates.grid_size)
constexpr int warpSize = 32;

namespace emulate {

// Arguments are converted to the kernel's parameter types.
template <class... P, class... A>
inline cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, cudaStream_t stream,
                          A&&... args) {
  struct Closure {
    void (*kernel)(P...);
    std::tuple<std::decay_t<P>...> arguments;
  };
  const void* pointers[sizeof...(P) + 1];
  int count = 0;
  const auto add_pointer = [&](const auto& argument) {
    if constexpr (std::is_pointer_v<std::decay_t<decltype(argument)>>) pointers[count++] = argument;
  };
  // A call, so that conversions are those that nvcc makes.
  const auto close = [&](P... values) {
    (add_pointer(values), ...);
    return new Closure{kernel, {std::move(values)...}};
  };
  Closure* closure = close(std::forward<A>(args)...);
  Call call{};
  call.kernel = reinterpret_cast<const void*>(kernel);
  call.grid = grid;
  call.block = block;
  call.shared = shared;
  call.invoke = [](void* self) {
    auto* what = static_cast<Closure*>(self);
    std::apply(what->kernel, what->arguments);
  };
  call.arguments = closure;
  call.destroy = [](void* self) { delete static_cast<Closure*>(self); };
  return launch(call, stream, pointers, count);
}

// The type that CUDA's overloads of the shuffles take and return: integers are promoted.
template <class T, bool = std::is_arithmetic_v<T>>
struct Shuffled {
  using type = decltype(+T());
};
template <class T>
struct Shuffled<T, false> {
  static_assert(std::is_same_v<T, __nv_bfloat16> || std::is_same_v<T, __nv_bfloat162>, "CUDA does not shuffle this");
  using type = T;
};
template <class T>
using ShuffledType = typename Shuffled<T>::type;

template <class T>
struct Shuffle {
  T in, out;
  int source;

  EMULATE_NO_TSAN static void run(void* const* arguments, unsigned mask) {
    for (int lane = 0; lane < 32; ++lane) {
      if ((mask >> lane & 1) == 0) continue;
      auto* self = static_cast<Shuffle*>(arguments[lane]);
      if ((mask >> self->source & 1) != 0) {
        self->out = static_cast<Shuffle*>(arguments[self->source])->in;
      } else {
        std::memset(static_cast<void*>(&self->out), 0xFF, sizeof(T));  // CUDA: undefined
      }
    }
  }
};
template <class T>
EMULATE_NO_TSAN T shuffle(unsigned mask, T value, int source, const char* name, Site site) {
  Shuffle<T> self{value, value, source};
  warp_collective(mask, name, &self, Shuffle<T>::run, false, site);
  return self.out;
}
inline int this_lane() { return static_cast<int>(coordinates.lane); }
// How far a shuffle goes: the hardware takes five bits of it.
inline int distance(unsigned lanes, const char* name, Site site) {
  if (lanes >= 32) fail("%s at %s:%u: by %u lanes, more than a warp has", name, site.file_name(), site.line(), lanes);
  return static_cast<int>(lanes);
}

}  // namespace emulate

// Collectives. The last parameter is for messages and is never given.
inline void __syncthreads(emulate::Site site = emulate::Site::current()) { emulate::barrier(site); }
inline int __syncthreads_count(int predicate, emulate::Site site = emulate::Site::current()) {
  return emulate::barrier(predicate != 0, emulate::BarrierResult::kCount, site);
}
inline int __syncthreads_and(int predicate, emulate::Site site = emulate::Site::current()) {
  return emulate::barrier(predicate != 0, emulate::BarrierResult::kAnd, site);
}
inline int __syncthreads_or(int predicate, emulate::Site site = emulate::Site::current()) {
  return emulate::barrier(predicate != 0, emulate::BarrierResult::kOr, site);
}
inline void __syncwarp(unsigned mask = 0xFFFFFFFFU, emulate::Site site = emulate::Site::current()) {
  emulate::warp_collective(mask, "__syncwarp", nullptr, [](void* const*, unsigned) {}, true, site);
}

template <class T>
inline emulate::ShuffledType<T> __shfl_sync(unsigned mask, T value, int source, int width = 32,
                                            emulate::Site site = emulate::Site::current()) {
  const int first = emulate::this_lane() & ~(width - 1);
  return emulate::shuffle<emulate::ShuffledType<T>>(mask, value, first | (source & (width - 1)), "__shfl_sync", site);
}
template <class T>
inline emulate::ShuffledType<T> __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                                               emulate::Site site = emulate::Site::current()) {
  const int lane = emulate::this_lane(), first = lane & ~(width - 1);
  const int other = lane - emulate::distance(delta, "__shfl_up_sync", site);
  return emulate::shuffle<emulate::ShuffledType<T>>(mask, value, other < first ? lane : other, "__shfl_up_sync", site);
}
template <class T>
inline emulate::ShuffledType<T> __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                                                 emulate::Site site = emulate::Site::current()) {
  const int lane = emulate::this_lane(), last = lane | (width - 1);
  const int other = lane + emulate::distance(delta, "__shfl_down_sync", site);
  return emulate::shuffle<emulate::ShuffledType<T>>(mask, value, other > last ? lane : other, "__shfl_down_sync", site);
}
template <class T>
inline emulate::ShuffledType<T> __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32,
                                                emulate::Site site = emulate::Site::current()) {
  const int lane = emulate::this_lane(), last = lane | (width - 1);
  const int other = lane ^ emulate::distance(static_cast<unsigned>(bits), "__shfl_xor_sync", site);
  return emulate::shuffle<emulate::ShuffledType<T>>(mask, value, other > last ? lane : other, "__shfl_xor_sync", site);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, emulate::Site site = emulate::Site::current()) {
  return emulate::ballot(mask, predicate != 0, "__ballot_sync", site);
}
inline int __any_sync(unsigned mask, int predicate, emulate::Site site = emulate::Site::current()) {
  return emulate::ballot(mask, predicate != 0, "__any_sync", site) != 0 ? 1 : 0;
}
inline int __all_sync(unsigned mask, int predicate, emulate::Site site = emulate::Site::current()) {
  return emulate::ballot(mask, predicate == 0, "__all_sync", site) == 0 ? 1 : 0;
}
#define EMULATE_REDUCE(T, name, reduction)                                                               \
  inline T name(unsigned mask, T value, emulate::Site site = emulate::Site::current()) {                 \
    return static_cast<T>(emulate::reduce(mask, value, emulate::WarpReduction::reduction, #name, site)); \
  }
EMULATE_REDUCE(unsigned, __reduce_add_sync, kAdd)
EMULATE_REDUCE(unsigned, __reduce_min_sync, kMin)
EMULATE_REDUCE(unsigned, __reduce_max_sync, kMax)
EMULATE_REDUCE(int, __reduce_add_sync, kAdd)
EMULATE_REDUCE(int, __reduce_min_sync, kMin)
EMULATE_REDUCE(int, __reduce_max_sync, kMax)
EMULATE_REDUCE(unsigned, __reduce_and_sync, kAnd)
EMULATE_REDUCE(unsigned, __reduce_or_sync, kOr)
EMULATE_REDUCE(unsigned, __reduce_xor_sync, kXor)
#undef EMULATE_REDUCE

inline void __threadfence() { emulate::thread_fence(); }
inline void __threadfence_block() { emulate::thread_fence(); }
inline void __threadfence_system() { emulate::thread_fence(); }
[[noreturn]] inline void __trap() { emulate::fail("__trap()"); }
