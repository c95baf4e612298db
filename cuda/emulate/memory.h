// Device and pinned memory, all of it in the memory of the process.
#pragma once
#include <cstddef>

#include "emulate/types.h"

namespace emulate {

constexpr size_t kDeviceBytes = size_t{16} << 30;

enum class MemoryKind { kDevice, kPinned };
struct Allocation {
  size_t bytes;
  MemoryKind kind;
  int device;
};

// The caller holds the lock of the host API, or runs for one that does and neither allocates nor frees.

// Filled with NaN. Null for no bytes.
cudaError_t allocate(void** memory, size_t bytes, MemoryKind kind, int device);
cudaError_t release(void* memory, MemoryKind kind);
size_t live_bytes(int device);

// The allocation that has all these bytes; null when none does. No bytes may also be at its end.
const Allocation* allocation_of(const void* memory, size_t bytes);
bool in_allocation(const void* memory, size_t bytes);
// Whether any byte is in device memory.
bool touches_device(const void* memory, size_t bytes);

// Under AddressSanitizer device memory is poisoned but while one of these lives, so that the host cannot use it.
class OnDevice {
 public:
  OnDevice();
  ~OnDevice();
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
};

}  // namespace emulate
