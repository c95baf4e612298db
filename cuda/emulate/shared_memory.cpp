#include "emulate/shared_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "emulate/configuration.h"
#include "emulate/sanitizers.h"

namespace emulate {

size_t shared_bytes_opt_in(int device) {
  const int capability = capability_of(device);
  switch (capability) {
    case 80:
    case 87:
    case 90:
    case 100:
      return kSharedBytesOptIn;
    default:
      return capability < 80 ? size_t{64} << 10 : size_t{99} << 10;
  }
}

SharedMemory::SharedMemory() {
  void* memory = mmap(nullptr, kArena, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("error: the emulator has no memory for shared memory");
    std::abort();
  }
  arena_ = static_cast<char*>(memory);
  poison(arena_, kArena);
}

char* SharedMemory::place(size_t bytes, size_t align) {
  const size_t start = (used_ + kRedZone + 2 * align - 1) / (2 * align) * (2 * align) + align;
  if (start + bytes + kRedZone > kArena) return nullptr;
  used_ = start + bytes;
  bytes_ += bytes;
  unpoison(arena_ + start, bytes);
  // So does the red zone, so that what is read there is seen in results.
  std::memset(arena_ + start, 0xFF, EMULATE_ASAN ? bytes : bytes + kLookedAt);
  return arena_ + start;
}

void SharedMemory::start_block(size_t dynamic_bytes, size_t limit) {
  poison(arena_, used_);
  used_ = bytes_ = 0;
  count_ = 0;
  limit_ = limit;
  dynamic_bytes_ = dynamic_bytes;
  dynamic_ = place(dynamic_bytes, 16);
}

bool SharedMemory::intact(const char* memory, size_t bytes) const {
  const char* zone = memory + bytes;
  return EMULATE_ASAN || std::all_of(zone, zone + kLookedAt, [](char byte) { return byte == static_cast<char>(0xFF); });
}

bool SharedMemory::end_block() {
  bool all = intact(dynamic_, dynamic_bytes_);
  for (int i = 0; i < count_; ++i) all &= intact(variables_[i].memory, variables_[i].bytes);
  if (kThreadSanitizer) {
    // Mapped anew, so that accesses of the next block are not taken for accesses to the same objects.
    constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    if (mmap(arena_, kArena, PROT_READ | PROT_WRITE, kFlags, -1, 0) == MAP_FAILED) std::abort();
  }
  return all;
}

void* SharedMemory::variable(const void* site, size_t bytes, size_t align) {
  for (int i = 0; i < count_; ++i) {
    if (variables_[i].site != site) continue;
    acquire_order(variables_[i].memory);
    return variables_[i].memory;
  }
  if (count_ == kMaxVariables || bytes_ + bytes > limit_) return nullptr;
  char* memory = place(bytes, align);
  if (memory == nullptr) return nullptr;
  variables_[count_++] = {site, memory, bytes};
  release_order(memory);  // the NaN was written by no thread of the block
  return memory;
}

bool SharedMemory::contains(const void* address, size_t bytes) const {
  const auto inside = [&](const char* memory, size_t size) {
    const auto at = reinterpret_cast<uintptr_t>(address), first = reinterpret_cast<uintptr_t>(memory);
    return at >= first && at + bytes <= first + size;
  };
  for (int i = 0; i < count_; ++i) {
    if (inside(variables_[i].memory, variables_[i].bytes)) return true;
  }
  return inside(dynamic_, dynamic_bytes_);
}

}  // namespace emulate
