// Fibers: stacks, and the switch from one to another.
#pragma once
#include <cstddef>

namespace emulate {

constexpr size_t kStackBytes = size_t{64} << 10;
constexpr size_t kGuardBytes = size_t{4} << 10;  // at the low end of a stack

struct Stack {
  char* base;
  unsigned index;
};

// What is suspended: a fiber, or the thread that runs fibers, whose stack is not one of ours.
struct Context {
  void* stack_pointer = nullptr;
  Stack* stack = nullptr;
  void* fake_stack = nullptr;  // AddressSanitizer's
  // Of the stack of a thread; AddressSanitizer tells them when a fiber first runs.
  const void* bottom = nullptr;
  size_t size = 0;
};

// As many stacks as a block can need.
class Stacks {
 public:
  Stacks();
  Stack* take();
  // Under ThreadSanitizer, which takes accesses to the same address for those of one object, only after take_all_back.
  void give_back(Stack* stack);
  // Also those of fibers that will never go on.
  void take_all_back();

 private:
  static constexpr unsigned kCount = 1024 + 1;  // a thread of a block each, and one to start with
  char* memory_;
  Stack stacks_[kCount];
  Stack* free_[kCount];
  unsigned free_count_ = 0;
  unsigned used_ = 0;  // stacks_ that have been taken once
};

// Lets the context start in `entry`, which does not return, on the stack.
void prepare(Context& context, Stack* stack, void (*entry)());

// Saves the running fiber or thread in `from` and goes on with `to`. `ends`: `from` never goes on.
void switch_to(Context& from, const Context& to, bool ends);

// The first thing that a fiber does. `from_thread`: the thread that it was started from if that was no fiber.
void arrive(Context* from_thread);

}  // namespace emulate
