#include "emulate/workers.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <numeric>
#include <thread>
#include <vector>

#include "emulate/configuration.h"
#include "emulate/faults.h"
#include "emulate/sanitizers.h"

namespace emulate {
namespace {

// It is never destroyed and its threads are never joined: they wait, and the process may end around them.
class Workers {
 public:
  explicit Workers(int count) {
    for (int worker = 1; worker < count; ++worker) {
      std::thread([this, worker] { serve(worker); }).detach();
    }
    count_ = count;
  }

  void run(int64_t count, const std::function<void(int64_t, int)>& body) {
    if (count_ == 1 || count == 1) {
      for (int64_t i = 0; i < count; ++i) body(i, 0);
      return;
    }
    {
      const std::scoped_lock held(mutex_);
      body_ = &body;
      end_ = count;
      next_.store(0);
      open_ = true;
      ++job_;
    }
    work_.notify_all();
    work(0);
    // Those that have not woken yet find the job closed.
    std::unique_lock held(mutex_);
    open_ = false;
    idle_.wait(held, [this] { return active_ == 0; });
  }

 private:
  void work(int worker) {
    for (int64_t i = next_.fetch_add(1); i < end_; i = next_.fetch_add(1)) (*body_)(i, worker);
  }

  void serve(int worker) {
    uint64_t seen = 0;
    std::unique_lock held(mutex_);
    while (true) {
      work_.wait(held, [&] { return open_ && job_ != seen; });
      seen = job_;
      ++active_;
      held.unlock();
      work(worker);
      held.lock();
      if (--active_ == 0) idle_.notify_one();
    }
  }

  int count_ = 1;
  std::mutex mutex_;
  std::condition_variable work_, idle_;
  uint64_t job_ = 0;
  bool open_ = false;
  int active_ = 0;
  const std::function<void(int64_t, int)>* body_ = nullptr;
  int64_t end_ = 0;
  std::atomic<int64_t> next_{0};
};

// Blocks run in another order than they are numbered, so that a kernel which relies on one is seen.
std::vector<int64_t> order_of_blocks(int64_t count) {
  std::vector<int64_t> order;
  const Configuration& chosen = configuration();
  if (chosen.schedule == Schedule::kForward) return order;
  order.resize(static_cast<size_t>(count));
  std::iota(order.rbegin(), order.rend(), 0);
  if (chosen.schedule == Schedule::kRandom) {
    Random random(chosen.seed);
    for (int64_t left = count; left > 1; --left) {
      std::swap(order[left - 1], order[random.below(static_cast<unsigned>(left))]);
    }
  }
  return order;
}

}  // namespace

void parallel_for(int64_t count, const std::function<void(int64_t, int)>& body) {
  static auto* workers = new Workers(configuration().threads);
  workers->run(count, body);
}

const Block* run_blocks(Launch& launch) {
  static auto* blocks = new std::vector<std::unique_ptr<Block>>(static_cast<size_t>(configuration().threads));
  const dim3 grid = launch.call.grid;
  const int64_t count = int64_t{grid.x} * grid.y * grid.z;
  const std::vector<int64_t> order = order_of_blocks(count);
  std::atomic<const Block*> failed{nullptr};
  catch_faults();
  parallel_for(count, [&](int64_t position, int worker) {
    if (failed.load(std::memory_order_relaxed) != nullptr) return;
    std::unique_ptr<Block>& block = (*blocks)[static_cast<size_t>(worker)];
    if (!block) block = std::make_unique<Block>();
    if (block->run(launch, order.empty() ? position : order[position])) return;
    const Block* none = nullptr;
    failed.compare_exchange_strong(none, block.get());
  });
  acquire_order(&launch.ended);
  return failed.load();
}

}  // namespace emulate
