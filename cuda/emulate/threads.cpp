// How the threads of a block take turns. A thread that never waits is a plain call: the fiber that it runs on then
// starts the next one. Only a thread that waits keeps its stack.
#include <cstdlib>

#include "emulate/block.h"
#include "emulate/sanitizers.h"

namespace emulate {

void Block::entry() {
  Block* self = running();
  arrive(self->main_left_ ? nullptr : &self->main_);
  self->main_left_ = true;
  Thread* first = self->starting_;
  self->starting_ = nullptr;
  self->run_threads(first);
  std::abort();  // it does not return
}

Thread* Block::next() {
  const int index = queue_.next();
  return index < 0 ? nullptr : &threads_[index];
}

void Block::become(Thread* thread) {
  current_ = thread;
  coordinates.thread = thread->coordinates;
  coordinates.lane = thread->lane();
#if FLES_EMULATE_TSAN
  __tsan_switch_to_fiber(thread->tsan_fiber, __tsan_switch_to_fiber_no_sync);
#endif
}

void Block::become_main() {
  current_ = nullptr;
#if FLES_EMULATE_TSAN
  __tsan_switch_to_fiber(tsan_main_, __tsan_switch_to_fiber_no_sync);
#endif
}

void Block::go_to(Context& from, const Context& to, bool ends) {
  stack_ = to.stack;
  switch_to(from, to, ends);
}

void Block::start_on_fresh_stack(Context& from, Thread* thread, bool ends) {
  starting_ = thread;
  Context fresh;
  prepare(fresh, stacks_.take(), entry);
  go_to(from, fresh, ends);
}

// Runs threads on this stack, until one is to go on that has a stack of its own, or none may run: then all are done, or
// the block is in a deadlock, and main finds out which.
void Block::run_threads(Thread* first) {
  [[maybe_unused]] bool used = false;  // this stack, by a thread that has finished
  for (Thread* thread = first == nullptr ? next() : first;; thread = next()) {
    Context abandoned;
    if (thread == nullptr) {
      stacks_.give_back(stack_);
      become_main();
      go_to(abandoned, main_, true);
    } else if (thread->state != ThreadState::kNotStarted) {
      stacks_.give_back(stack_);
      become(thread);
      go_to(abandoned, thread->context, true);
    } else if (kThreadSanitizer && used) {
      // A stack of its own for every thread, lest two of them race on it.
      start_on_fresh_stack(abandoned, thread, true);
    } else {
      become(thread);
      thread->state = ThreadState::kReady;
      thread->async.copies.clear();
      thread->async.group = 0;
      acquire_order(&launch_->began);
      launch_->call.invoke(launch_->call.arguments);
      finish(thread);
      used = true;
    }
  }
}

// Until someone wakes the running thread, others run.
void Block::suspend() {
  Thread* self = current_;
  Thread* thread = next();
  if (thread == self) return;
  self->context.stack = stack_;
  if (thread == nullptr) {
    become_main();
    go_to(self->context, main_, false);
  } else if (thread->state == ThreadState::kNotStarted) {
    start_on_fresh_stack(self->context, thread, false);
  } else {
    become(thread);
    go_to(self->context, thread->context, false);
  }
}

void Block::wake(Thread& thread) {
  thread.state = ThreadState::kReady;
  if (&thread != current_) queue_.make_ready(thread.index);
}

// The last one woken runs first.
void Block::wake_all() {
  const bool reverse = queue_.schedule() == Schedule::kReverse;
  for (int i = 0; i < count_; ++i) wake(threads_[reverse ? i : count_ - 1 - i]);
}

void Block::wake_lanes(Thread* warp, unsigned mask) {
  const bool reverse = queue_.schedule() == Schedule::kReverse;
  for (int i = 0; i < 32; ++i) {
    const int lane = reverse ? i : 31 - i;
    if ((mask >> lane & 1) != 0) wake(warp[lane]);
  }
}

void Block::yield() {
  if (queue_.schedule() != Schedule::kRandom || !queue_.flip(8)) return;
  queue_.make_ready(current_->index);
  suspend();
}

// The thread has left the kernel. Nobody may wait for it.
void Block::finish(Thread* thread) {
  for (const AsyncCopies::Copy& copy : thread->async.copies) require_untouched(copy);
  release_order(&launch_->ended);
  thread->state = ThreadState::kDone;
  ++done_;
  const int warp = thread->index / 32;
  exited_[warp] |= 1U << thread->lane();
  if (arrived_ > 0 && arrived_ == count_ - done_) {
    for (int i = 0; i < count_; ++i) {
      const Thread& other = threads_[i];
      if (other.state != ThreadState::kAtBarrier) continue;
      fail("thread %d exited the kernel while thread %d waits in __syncthreads() at %s:%u, which not all threads reach",
           thread->index, i, other.site.file_name(), other.site.line());
    }
  }
  for (unsigned waiting = waiting_[warp]; waiting != 0; waiting &= waiting - 1) {
    const int lane = __builtin_ctz(waiting);
    const Thread& other = threads_[warp * 32 + lane];
    if ((other.mask >> thread->lane() & 1) == 0) continue;
    fail("lane %u exited the kernel while lane %d waits for it in %s at %s:%u (mask 0x%08x)", thread->lane(), lane,
         other.name, other.site.file_name(), other.site.line(), other.mask);
  }
  current_ = nullptr;
}

}  // namespace emulate
