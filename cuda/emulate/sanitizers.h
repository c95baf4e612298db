// What the engine tells the sanitizers about its fibers and memory.
#pragma once
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define EMULATE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMULATE_ASAN 1
#endif
#endif
#ifndef EMULATE_ASAN
#define EMULATE_ASAN 0
#endif
#if EMULATE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__SANITIZE_THREAD__)
#error "compile the emulator without -fsanitize=thread and with -DFLES_EMULATE_TSAN=1: it runs on all fibers"
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#error "compile the emulator without -fsanitize=thread and with -DFLES_EMULATE_TSAN=1: it runs on all fibers"
#endif
#endif
#ifndef FLES_EMULATE_TSAN
#define FLES_EMULATE_TSAN 0
#endif
#if FLES_EMULATE_TSAN
#include <sanitizer/tsan_interface.h>
extern "C" void __tsan_read16(void* address);
extern "C" void __tsan_write16(void* address);
#endif

namespace emulate {

constexpr bool kThreadSanitizer = FLES_EMULATE_TSAN != 0;

inline void poison([[maybe_unused]] const void* memory, [[maybe_unused]] size_t bytes) {
#if EMULATE_ASAN
  __asan_poison_memory_region(memory, bytes);
#endif
}
inline void unpoison([[maybe_unused]] const void* memory, [[maybe_unused]] size_t bytes) {
#if EMULATE_ASAN
  __asan_unpoison_memory_region(memory, bytes);
#endif
}

// What a thread did before it released an address happens before what another does after it acquired it.
inline void release_order([[maybe_unused]] void* address) {
#if FLES_EMULATE_TSAN
  __tsan_release(address);
#endif
}
inline void acquire_order([[maybe_unused]] void* address) {
#if FLES_EMULATE_TSAN
  __tsan_acquire(address);
#endif
}

// The engine is not instrumented: what it reads and writes for a CUDA thread it says itself.
inline void report_read_16([[maybe_unused]] const void* address) {
#if FLES_EMULATE_TSAN
  __tsan_read16(const_cast<void*>(address));
#endif
}
inline void report_write_16([[maybe_unused]] void* address) {
#if FLES_EMULATE_TSAN
  __tsan_write16(address);
#endif
}

}  // namespace emulate
