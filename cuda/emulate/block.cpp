#include "emulate/block.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "emulate/sanitizers.h"

namespace emulate {

constinit thread_local Coordinates coordinates{};

namespace {
uint3 three(dim3 size) { return {size.x, size.y, size.z}; }
constinit thread_local Block* running_block = nullptr;
}  // namespace

Block* Block::running() { return running_block; }

Block::Block() : threads_(kMaxBlockThreads) {
  for (int i = 0; i < kMaxBlockThreads; ++i) {
    threads_[i].index = static_cast<uint16_t>(i);
    // Nothing is to be allocated on a fiber: ThreadSanitizer would take it for the fiber's.
    if (kThreadSanitizer) threads_[i].async.copies.reserve(64);
  }
}

void Block::give_indices(dim3 size) {
  if (size.x == size_.x && size.y == size_.y && size.z == size_.z) return;
  size_ = size;
  for (unsigned i = 0; i < size.x * size.y * size.z; ++i) {
    threads_[i].coordinates = {i % size.x, i / size.x % size.y, i / size.x / size.y};
  }
}

void Block::reset(int64_t index) {
  const dim3 grid = launch_->call.grid, size = launch_->call.block;
  coordinates.grid_size = three(grid);
  coordinates.block_size = three(size);
  coordinates.block = {static_cast<unsigned>(index % grid.x), static_cast<unsigned>(index / grid.x % grid.y),
                       static_cast<unsigned>(index / grid.x / grid.y)};
  give_indices(size);
  count_ = static_cast<int>(size.x * size.y * size.z);
  done_ = arrived_ = predicates_ = 0;
  for (int i = 0; i < count_; ++i) threads_[i].state = ThreadState::kNotStarted;
  for (int warp = 0; warp * 32 < count_; ++warp) {
    const int lanes = count_ - warp * 32;
    exited_[warp] = lanes < 32 ? ~0U << lanes : 0;
    waiting_[warp] = 0;
  }
  const Configuration& chosen = configuration();
  queue_.reset(count_, chosen.schedule, chosen.seed * 1000003 + static_cast<uint64_t>(index));
  shared_.start_block(launch_->call.shared, launch_->shared_limit);
  error_[0] = 0;
  error_code_ = cudaErrorLaunchFailure;  // unless said otherwise
}

bool Block::run(Launch& launch, int64_t index) {
  launch_ = &launch;
  reset(index);
#if FLES_EMULATE_TSAN
  tsan_main_ = __tsan_get_current_fiber();
  for (int i = 0; i < count_; ++i) threads_[i].tsan_fiber = __tsan_create_fiber(0);
#endif
  release_order(&launch.began);
  running_block = this;
  main_ = {};
  main_left_ = false;
  Context first;
  prepare(first, stacks_.take(), entry);
  go_to(main_, first, false);
  running_block = nullptr;
  if (error_[0] == 0 && done_ != count_) describe_deadlock();
  end_block();
  return error_[0] == 0;
}

void Block::end_block() {
#if FLES_EMULATE_TSAN
  for (int i = 0; i < count_; ++i) {
    if (threads_[i].state != ThreadState::kDone) {  // what it did before the block failed is before what the host does
      __tsan_switch_to_fiber(threads_[i].tsan_fiber, __tsan_switch_to_fiber_no_sync);
      release_order(&launch_->ended);
      __tsan_switch_to_fiber(tsan_main_, __tsan_switch_to_fiber_no_sync);
    }
    __tsan_destroy_fiber(threads_[i].tsan_fiber);
  }
#endif
  if (!shared_.end_block() && error_[0] == 0) {
    std::snprintf(error_, sizeof error_,
                  "block (%u,%u,%u): a thread wrote behind a shared variable or the dynamic memory",
                  coordinates.block.x, coordinates.block.y, coordinates.block.z);
  }
  if (kThreadSanitizer || error_[0] != 0) stacks_.take_all_back();
}

void Block::describe_deadlock() {
  size_t length = 0;
  const auto append = [&](const char* format, auto... values) {
    if (length >= sizeof error_) return;
    length += static_cast<size_t>(std::snprintf(error_ + length, sizeof error_ - length, format, values...));
  };
  append("block (%u,%u,%u): deadlock:", coordinates.block.x, coordinates.block.y, coordinates.block.z);
  int shown = 0;
  for (int i = 0; i < count_ && shown < 4; ++i) {
    const Thread& thread = threads_[i];
    const bool at_barrier = thread.state == ThreadState::kAtBarrier;
    if (!at_barrier && thread.state != ThreadState::kInCollective) continue;
    append(" thread %d waits in %s at %s:%u;", i, at_barrier ? "__syncthreads" : thread.name, thread.site.file_name(),
           thread.site.line());
    if (!at_barrier) append(" mask 0x%08x;", thread.mask);
    ++shown;
  }
}

void Block::fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fail_with(format, arguments);
}

void Block::fault(int signal, const void* address) {
  error_code_ = cudaErrorIllegalAddress;
  if (signal == SIGFPE) fail("an integer is divided by zero");
  fail("there is no memory at 0x%zx, or the access is not aligned", reinterpret_cast<uintptr_t>(address));
}

// All fibers stay where they are, for ever; only main goes on.
void Block::fail_with(const char* format, va_list arguments) {
  const Thread* thread = current_;
  become_main();  // which will read the message
  const Coordinates& at = coordinates;
  size_t length =
      static_cast<size_t>(std::snprintf(error_, sizeof error_, "block (%u,%u,%u)", at.block.x, at.block.y, at.block.z));
  if (thread != nullptr) {
    const uint3 index = thread->coordinates;
    length += static_cast<size_t>(
        std::snprintf(error_ + length, sizeof error_ - length, " thread (%u,%u,%u)", index.x, index.y, index.z));
  }
  length += static_cast<size_t>(std::snprintf(error_ + length, sizeof error_ - length, ": "));
  std::vsnprintf(error_ + length, sizeof error_ - length, format, arguments);
  Context abandoned;
  go_to(abandoned, main_, true);
  std::abort();
}

}  // namespace emulate
