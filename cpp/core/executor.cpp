#include "core/executor.h"

#include <condition_variable>
#include <deque>
#include <mutex>

#include "core/error.h"
#include "core/threads.h"

namespace fles {

struct Executor::State {
  std::mutex lock;
  std::condition_variable wake;
  std::deque<std::function<void()>> jobs;
  bool stop = false;
  std::vector<std::thread> threads;

  void run() {
    std::unique_lock held(lock);
    while (true) {
      wake.wait(held, [this] { return stop || !jobs.empty(); });
      if (jobs.empty()) return;
      const std::function<void()> job = std::move(jobs.front());
      jobs.pop_front();
      held.unlock();
      job();
      held.lock();
    }
  }
};

Executor& Executor::compute() {
  collect();                                // so that a job that has begun never finds no thread for its second part
  static auto* executor = new Executor(1);  // never destroyed, like the pool it uses
  return *executor;
}

Executor& Executor::collect() {
  static auto* executor = new Executor(1);
  return *executor;
}

Executor& Executor::search() {
  static auto* executor = new Executor(take_thread_count());
  return *executor;
}

Executor::Executor(int threads) : state_(std::make_unique<State>()) {
  state_->threads = start_threads(threads, [state = state_.get()](int) { state->run(); });
  if (state_->threads.empty()) {
    fail("ERR_THREAD_START",
         "0 of %d threads could be started; raise the limit on processes (ulimit -u, or pids of the container), or set "
         "FLES_NUM_THREADS to fewer",
         threads);
  }
}

Executor::~Executor() {
  {
    const std::scoped_lock held(state_->lock);
    state_->stop = true;
  }
  state_->wake.notify_all();
  for (auto& thread : state_->threads) thread.join();
}

void Executor::submit(std::function<void()> job) {
  {
    const std::scoped_lock held(state_->lock);
    state_->jobs.push_back(std::move(job));
  }
  state_->wake.notify_one();
}

}  // namespace fles
