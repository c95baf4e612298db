#include "emulate/run_queue.h"

namespace emulate {

void RunQueue::reset(int count, Schedule schedule, uint64_t seed) {
  schedule_ = schedule;
  random_ = Random(seed);
  count_ = count;
  ready_count_ = fresh_count_ = started_ = 0;
  if (schedule != Schedule::kRandom) return;
  while (fresh_count_ < count) {
    fresh_[fresh_count_] = static_cast<uint16_t>(fresh_count_);
    ++fresh_count_;
  }
}

int RunQueue::next() {
  if (schedule_ == Schedule::kRandom) {
    const int candidates = ready_count_ + fresh_count_;
    if (candidates == 0) return -1;
    const int chosen = static_cast<int>(random_.below(static_cast<unsigned>(candidates)));
    uint16_t* place = chosen < ready_count_ ? &ready_[chosen] : &fresh_[chosen - ready_count_];
    const int thread = *place;
    *place = chosen < ready_count_ ? ready_[--ready_count_] : fresh_[--fresh_count_];
    return thread;
  }
  if (ready_count_ > 0) return ready_[--ready_count_];
  if (started_ == count_) return -1;
  const int position = started_++;
  return schedule_ == Schedule::kReverse ? count_ - 1 - position : position;
}

}  // namespace emulate
