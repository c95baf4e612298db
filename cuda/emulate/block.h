// Runs the threads of a block as fibers.
#pragma once
#include <cstdarg>
#include <vector>

#include "emulate/fiber.h"
#include "emulate/interface.h"
#include "emulate/run_queue.h"
#include "emulate/shared_memory.h"

namespace emulate {

// A kernel that is running.
struct Launch {
  Call call;
  size_t shared_limit;
  // What ThreadSanitizer is told about: the host's work is before the threads of every block, and after them.
  char began = 0, ended = 0;
};

enum class ThreadState : uint8_t { kNotStarted, kReady, kAtBarrier, kInCollective, kDone };

// Copies that a thread has issued and not waited for.
struct AsyncCopies {
  struct Copy {
    void* to;
    const void* from;  // null: zeros
    int group;
    Site site;
  };
  std::vector<Copy> copies;
  int group = 0;  // committed so far
};

struct alignas(64) Thread {
  uint3 coordinates;
  uint16_t index;
  ThreadState state;
  Context context;
  Site site;  // where it waits
  // Of the warp collective that it waits in.
  unsigned mask;
  const char* name;
  void* argument;
  WarpFunction function;
  AsyncCopies async;
  void* tsan_fiber;

  unsigned lane() const { return index % 32U; }
};

// One block after another, on the thread that calls run(). No two blocks that run at the same time share one.
class Block {
 public:
  // The one whose CUDA thread is running here; null outside of kernels.
  static Block* running();

  Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  // Runs the block of that index in the grid. False if it failed; error() says how.
  bool run(Launch& launch, int64_t index);
  const char* error() const { return error_; }
  cudaError_t error_code() const { return error_code_; }

  // What the running CUDA thread does.
  void barrier(Site site);
  int barrier(bool predicate, BarrierResult result, Site site);
  void collective(unsigned mask, const char* name, void* argument, WarpFunction function, bool orders, Site site);
  void yield();
  void fence();
  SharedMemory& shared() { return shared_; }
  AsyncCopies& async_copies() { return current_->async; }
  void require_untouched(const AsyncCopies::Copy& copy);
  [[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 2, 3)));
  [[noreturn]] void fail_with(const char* format, va_list arguments);

  bool in_thread() const { return current_ != nullptr; }
  // A signal has come to the running CUDA thread.
  [[noreturn]] void fault(int signal, const void* address);

 private:
  static constexpr int kWarps = kMaxBlockThreads / 32;

  void reset(int64_t index);
  void give_indices(dim3 size);
  void end_block();
  void describe_deadlock();

  // In threads.cpp.
  static void entry();
  void run_threads(Thread* first);
  Thread* next();
  void become(Thread* thread);
  void become_main();
  void start_on_fresh_stack(Context& from, Thread* thread, bool ends);
  void go_to(Context& from, const Context& to, bool ends);
  void suspend();
  void finish(Thread* thread);
  void wake(Thread& thread);
  void wake_all();
  void wake_lanes(Thread* warp, unsigned mask);

  bool try_collective(int warp, unsigned mask);

  Launch* launch_ = nullptr;
  RunQueue queue_;
  Stacks stacks_;
  SharedMemory shared_;
  std::vector<Thread> threads_;
  dim3 size_{0, 0, 0};  // that the threads have their coordinates for
  int count_ = 0, done_ = 0;

  Thread* current_ = nullptr;
  Thread* starting_ = nullptr;  // what the fiber that is being started begins with
  Stack* stack_ = nullptr;      // that the running fiber is on
  Context main_;
  bool main_left_ = false;  // the first fiber of the block has been started

  int arrived_ = 0;           // at the barrier
  Site barrier_site_;         // of the first that arrived
  int predicates_ = 0;        // of the threads that have arrived
  int last_predicates_ = 0;   // of the barrier that was passed last
  unsigned exited_[kWarps];   // lanes that have exited or never existed
  unsigned waiting_[kWarps];  // lanes that wait in a warp collective
  char error_[1024] = "";
  cudaError_t error_code_ = cudaSuccess;

  // What ThreadSanitizer is told that barriers order. Two in turn: a thread that leaves one barrier must not be ordered
  // after what others did before they came to the next.
  char barrier_order_[2] = {}, warp_order_[kWarps][2] = {}, fence_order_ = 0;
  unsigned barriers_ = 0, collectives_[kWarps] = {};
  void* tsan_main_ = nullptr;
};

}  // namespace emulate
