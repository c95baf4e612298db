// What cuda.h and ptx.h need of the engine, and what its files know of each other's work for a kernel.
#pragma once
#include <source_location>

#include "types.h"

// The code of a warp collective runs on the lane that arrives last, on behalf of all; that is no race.
#if defined(__clang__) || defined(__SANITIZE_THREAD__)
#define EMULATE_NO_TSAN __attribute__((no_sanitize("thread")))
#else
#define EMULATE_NO_TSAN
#endif

namespace emulate {

using Site = std::source_location;  // where a kernel calls a collective

// What the running CUDA thread reads as threadIdx and so on.
struct Coordinates {
  uint3 thread, block, block_size, grid_size;
  unsigned lane;
};
extern constinit thread_local Coordinates coordinates;

void barrier(Site site);
enum class BarrierResult { kCount, kAnd, kOr };
int barrier(bool predicate, BarrierResult result, Site site);

// Runs function(arguments, mask) once when all lanes of the mask have called this, argument of lane i in arguments[i].
using WarpFunction = void (*)(void* const* arguments, unsigned mask);
void warp_collective(unsigned mask, const char* name, void* argument, WarpFunction function, bool orders_memory,
                     Site site);
unsigned ballot(unsigned mask, bool predicate, const char* name, Site site);
enum class WarpReduction { kAdd, kMin, kMax, kAnd, kOr, kXor };
int64_t reduce(unsigned mask, int64_t value, WarpReduction reduction, const char* name, Site site);

// The block's variable that is declared at a place of the source: filled with NaN when the block first comes there.
void* shared_variable(const void* site, size_t bytes, size_t align);
void* dynamic_shared();
// Whether the bytes lie in the block's shared memory, for instructions that take nothing else.
bool in_shared(const void* address, size_t bytes);

void thread_fence();
// Another thread may run here. Under FLES_EMULATE_SCHEDULE=random, atomics call it.
void maybe_yield();

// Ends the launch with cudaErrorLaunchFailure, from within a kernel.
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

// A kernel with its arguments.
struct Call {
  const void* kernel;
  dim3 grid, block;
  size_t shared;
  void (*invoke)(void* arguments);  // runs one thread
  void* arguments;
  void (*destroy)(void* arguments);
};
// Takes over the arguments. `pointers` are those among them that must be of the device.
cudaError_t launch(const Call& call, cudaStream_t stream, const void* const* pointers, int count);

// For tests.
int64_t launches();         // of kernels, by the process so far
const char* last_report();  // what the last error was about; empty if there was none
void reset();               // forgets errors, also those that CUDA does not get over
size_t live_device_bytes();

}  // namespace emulate
