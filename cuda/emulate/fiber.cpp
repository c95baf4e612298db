#include "emulate/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "emulate/sanitizers.h"

// emulate_switch(void** save, void* load): pushes the registers that a callee must keep, exchanges the stack pointer,
// and pops them.
extern "C" void emulate_switch(void** save, void* load);

#if defined(__x86_64__) && defined(__linux__)
asm(R"(
  .text
  .globl emulate_switch
  .hidden emulate_switch
  .type emulate_switch, @function
emulate_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size emulate_switch, . - emulate_switch
)");
#elif defined(__aarch64__) && defined(__linux__)
asm(R"(
  .text
  .globl emulate_switch
  .hidden emulate_switch
  .type emulate_switch, %function
emulate_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
  .size emulate_switch, . - emulate_switch
)");
#else
#error "the emulator has the switch of fibers for Linux on x86-64 and aarch64"
#endif

namespace emulate {

Stacks::Stacks() {
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* memory = mmap(nullptr, kCount * kStackBytes, PROT_READ | PROT_WRITE, kFlags, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("error: the emulator has no memory for stacks");
    std::abort();
  }
  memory_ = static_cast<char*>(memory);
}

Stack* Stacks::take() {
  if (free_count_ > 0) return free_[--free_count_];
  if (used_ == kCount) std::abort();  // a block has no more threads
  Stack* stack = &stacks_[used_];
  *stack = {memory_ + used_ * kStackBytes, used_};
  ++used_;
  // Under ThreadSanitizer the memory is mapped anew after each block, which would undo it.
  if (!kThreadSanitizer) mprotect(stack->base, kGuardBytes, PROT_NONE);
  return stack;
}

void Stacks::give_back(Stack* stack) {
  if (!kThreadSanitizer) free_[free_count_++] = stack;
}

void Stacks::take_all_back() {
  if (kThreadSanitizer) {  // this is what clears its memory of accesses
    constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    const size_t bytes = used_ * kStackBytes;
    if (mmap(memory_, bytes, PROT_READ | PROT_WRITE, kFlags, -1, 0) == MAP_FAILED) std::abort();
  }
  free_count_ = 0;
  while (free_count_ < used_) {
    free_[free_count_] = &stacks_[used_ - 1 - free_count_];
    ++free_count_;
  }
}

void prepare(Context& context, Stack* stack, void (*entry)()) {
  // Frames that were left on this stack without returning may have left poison.
  unpoison(stack->base + kGuardBytes, kStackBytes - kGuardBytes);
  // Equal offsets in stacks of 64 KiB would all fall into the same sets of the cache.
  char* top = stack->base + kStackBytes - 64 - size_t{stack->index % 60} * 64;
#if defined(__x86_64__)
  auto** at = reinterpret_cast<void**>(top - 8);  // a function starts with 8 bytes pushed on an aligned stack
  *--at = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; ++i) *--at = nullptr;
#else
  auto** at = reinterpret_cast<void**>(top - 160);
  for (int i = 0; i < 20; ++i) at[i] = nullptr;
  at[11] = reinterpret_cast<void*>(entry);  // x30, where `ret` goes
#endif
  context = {};
  context.stack_pointer = static_cast<void*>(at);
  context.stack = stack;
}

void switch_to(Context& from, const Context& to, [[maybe_unused]] bool ends) {
#if EMULATE_ASAN
  const void* bottom = to.stack == nullptr ? to.bottom : to.stack->base;
  __sanitizer_start_switch_fiber(ends ? nullptr : &from.fake_stack, bottom,
                                 to.stack == nullptr ? to.size : kStackBytes);
#endif
  emulate_switch(&from.stack_pointer, to.stack_pointer);
#if EMULATE_ASAN
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

void arrive([[maybe_unused]] Context* from_thread) {
#if EMULATE_ASAN
  if (from_thread == nullptr) {
    __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
  } else {
    __sanitizer_finish_switch_fiber(nullptr, &from_thread->bottom, &from_thread->size);
  }
#endif
}

}  // namespace emulate
