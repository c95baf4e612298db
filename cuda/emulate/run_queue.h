// The scheduler of a block: which of its threads runs next.
#pragma once
#include <cstdint>

#include "emulate/configuration.h"

namespace emulate {

constexpr int kMaxBlockThreads = 1024;

class RunQueue {
 public:
  // Threads 0..count-1, none of them started.
  void reset(int count, Schedule schedule, uint64_t seed);

  Schedule schedule() const { return schedule_; }
  bool flip(unsigned one_in) { return random_.below(one_in) == 0; }

  // A suspended thread may go on. Of several made ready one after the other the last goes first.
  void make_ready(int thread) { ready_[ready_count_++] = static_cast<uint16_t>(thread); }

  // Takes the thread out; -1 when none may run. Suspended threads go before new ones, which keeps a warp together.
  int next();

 private:
  Schedule schedule_ = Schedule::kForward;
  Random random_{1};
  // Arrays rather than std::vector: they are written on all fibers, and an instance of its functions that was compiled
  // elsewhere may be instrumented for ThreadSanitizer.
  uint16_t ready_[kMaxBlockThreads];
  uint16_t fresh_[kMaxBlockThreads];  // not started; the random schedule alone
  int ready_count_ = 0, fresh_count_ = 0;
  int count_ = 0, started_ = 0;
};

}  // namespace emulate
