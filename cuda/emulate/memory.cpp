#include "emulate/memory.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>

#include "emulate/configuration.h"
#include "emulate/errors.h"
#include "emulate/interface.h"
#include "emulate/sanitizers.h"

namespace emulate {
namespace {

struct Memory {
  std::map<uintptr_t, Allocation> allocations;
  int64_t count = 0, pinned = 0;  // of allocations so far, on devices and of pinned memory
  int on_device = 0;              // scopes
};
Memory& memory_state() {
  static auto* state = new Memory;  // never destroyed: the process may end while others use it
  return *state;
}

bool on_this_device(const Allocation& one, int device) {
  return one.kind == MemoryKind::kDevice && (device < 0 || one.device == device);
}

void poison_all([[maybe_unused]] bool poisoned) {
#if EMULATE_ASAN
  for (const auto& [start, one] : memory_state().allocations) {
    if (one.kind != MemoryKind::kDevice) continue;
    const auto* memory = reinterpret_cast<const void*>(start);
    poisoned ? poison(memory, one.bytes) : unpoison(memory, one.bytes);
  }
#endif
}

}  // namespace

cudaError_t allocate(void** memory, size_t bytes, MemoryKind kind, int device) {
  Memory& state = memory_state();
  *memory = nullptr;
  if (kind == MemoryKind::kDevice) {
    if (++state.count == configuration().fail_allocation) return failed(cudaErrorMemoryAllocation);
    if (bytes > kDeviceBytes - live_bytes(device)) return failed(cudaErrorMemoryAllocation);
  } else if (++state.pinned == configuration().fail_pinned) {
    return failed(cudaErrorMemoryAllocation);
  }
  if (bytes == 0) return cudaSuccess;
  // Exactly as many bytes as asked for, so that AddressSanitizer's red zone starts behind them.
  if (posix_memalign(memory, 256, bytes) != 0) return failed(cudaErrorMemoryAllocation);
  std::memset(*memory, 0xFF, bytes);
  state.allocations[reinterpret_cast<uintptr_t>(*memory)] = {bytes, kind, device};
  if (kind == MemoryKind::kDevice && state.on_device == 0) poison(*memory, bytes);
  return cudaSuccess;
}

cudaError_t release(void* memory, MemoryKind kind) {
  Memory& state = memory_state();
  const auto found = state.allocations.find(reinterpret_cast<uintptr_t>(memory));
  if (found == state.allocations.end() || found->second.kind != kind) {
    return failed(cudaErrorInvalidValue, "a pointer is freed that is not the start of an allocation of its kind");
  }
  unpoison(memory, found->second.bytes);
  state.allocations.erase(found);
  std::free(memory);
  return cudaSuccess;
}

size_t live_bytes(int device) {
  size_t sum = 0;
  for (const auto& [start, one] : memory_state().allocations) sum += on_this_device(one, device) ? one.bytes : 0;
  return sum;
}

const Allocation* allocation_of(const void* memory, size_t bytes) {
  const auto at = reinterpret_cast<uintptr_t>(memory);
  const auto& allocations = memory_state().allocations;
  auto found = allocations.upper_bound(at);
  if (found == allocations.begin()) return nullptr;
  --found;
  const size_t offset = at - found->first;
  return offset <= found->second.bytes && bytes <= found->second.bytes - offset ? &found->second : nullptr;
}

bool in_allocation(const void* memory, size_t bytes) { return allocation_of(memory, bytes) != nullptr; }

bool touches_device(const void* memory, size_t bytes) {
  const auto at = reinterpret_cast<uintptr_t>(memory);
  const auto& allocations = memory_state().allocations;
  auto found = allocations.lower_bound(at + bytes);
  while (found != allocations.begin()) {
    --found;
    if (found->first + found->second.bytes <= at) return false;
    if (found->second.kind == MemoryKind::kDevice) return true;
  }
  return false;
}

OnDevice::OnDevice() {
  if (memory_state().on_device++ == 0) poison_all(false);
}
OnDevice::~OnDevice() {
  if (--memory_state().on_device == 0) poison_all(true);
}

size_t live_device_bytes() {
  const std::scoped_lock held(host_lock());
  return live_bytes(-1);
}

}  // namespace emulate
