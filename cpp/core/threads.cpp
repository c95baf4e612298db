#include "core/threads.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/error.h"

#if defined(__linux__)
#include <sched.h>
#endif

namespace fles {
namespace {

// Processors granted by the cgroup's quota, rounded up; 0 when there is no quota.
int cgroup_quota() {
  const auto read_pair = [](const char* path, long long& a, long long& b) {
    FILE* file = std::fopen(path, "re");
    if (file == nullptr) return 0;
    const int got = std::fscanf(file, "%lld %lld", &a, &b);
    (void)std::fclose(file);
    return got;
  };
  long long quota = 0, period = 0, unused = 0;
  if (read_pair("/sys/fs/cgroup/cpu.max", quota, period) == 2 && quota > 0 && period > 0) {
    return static_cast<int>((quota + period - 1) / period);
  }
  if (read_pair("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota, unused) >= 1 && quota > 0 &&
      read_pair("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period, unused) >= 1 && period > 0) {
    return static_cast<int>((quota + period - 1) / period);
  }
  return 0;
}

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

constexpr int kSpins = 2000;

// Set while this thread runs a body, so that a nested call does not wait for itself.
thread_local bool inside_body = false;

}  // namespace

int default_thread_count() {
  const char* forced = std::getenv("FLES_NUM_THREADS");
  if (forced != nullptr && *forced != '\0') {
    char* end = nullptr;
    const long value = std::strtol(forced, &end, 10);
    if (*end != '\0' || value < 1 || value > 1024) {
      fail("ERR_NUM_THREADS", "FLES_NUM_THREADS is \"%s\", expected a number in 1..1024; set or unset it", forced);
    }
    return static_cast<int>(value);
  }
  int count = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) > 0) count = CPU_COUNT(&allowed);
#endif
  const int quota = cgroup_quota();
  if (quota > 0 && quota < count) count = quota;
  return count < 1 ? 1 : count;
}

struct ThreadPool::State {
  // Workers wait for `generation` to change and then try to join the job. The caller closes it once no index is left,
  // and waits only for those that joined: a worker that the system has not scheduled yet holds nobody up.
  static constexpr int kClosed = 1 << 30;
  std::atomic<uint32_t> generation{0};
  std::atomic<int> members{kClosed};  // workers inside the job; kClosed is added while none may join
  std::atomic<int64_t> next{0};
  std::atomic<bool> stop{false};
  int64_t count = 0;
  const Body* body = nullptr;
  std::mutex caller, failure_lock;
  std::exception_ptr failure;
  std::vector<std::thread> workers;

  void work(int thread) {
    inside_body = true;
    try {
      for (int64_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) (*body)(i, thread);
    } catch (...) {
      next.store(count);
      const std::scoped_lock lock(failure_lock);
      if (!failure) failure = std::current_exception();
    }
    inside_body = false;
  }

  bool join() {
    int seen = members.load();
    while (seen < kClosed) {
      if (members.compare_exchange_weak(seen, seen + 1)) return true;
    }
    return false;
  }

  void run(int thread) {
    uint32_t seen = 0;
    while (true) {
      // A short spin covers the gap between two ops of one forward pass; after that the thread sleeps.
      for (int spin = 0; spin < kSpins && generation.load(std::memory_order_acquire) == seen; ++spin) pause_briefly();
      generation.wait(seen, std::memory_order_acquire);
      // In this order: the generation that ends the pool is not passed over without its `stop` being seen.
      seen = generation.load(std::memory_order_acquire);
      if (stop.load()) return;
      if (!join()) continue;
      work(thread);
      if (members.fetch_sub(1) == kClosed + 1) members.notify_one();
    }
  }

  void close_and_wait() {
    for (int left = members.fetch_add(kClosed) + kClosed; left != kClosed; left = members.load()) {
      for (int spin = 0; spin < kSpins && members.load(std::memory_order_acquire) == left; ++spin) pause_briefly();
      members.wait(left);
    }
  }
};

ThreadPool& ThreadPool::shared() {
  // Never destroyed: its threads may still be waiting when static destructors run.
  static auto* pool = new ThreadPool(default_thread_count());
  return *pool;
}

ThreadPool::ThreadPool(int threads) : state_(new State) {
  for (int i = 1; i < threads; ++i) state_->workers.emplace_back([state = state_, i] { state->run(i); });
}

ThreadPool::~ThreadPool() {
  state_->stop.store(true);
  state_->generation.fetch_add(1, std::memory_order_release);
  state_->generation.notify_all();
  for (auto& worker : state_->workers) worker.join();
  delete state_;
}

int ThreadPool::size() const { return static_cast<int>(state_->workers.size()) + 1; }

void ThreadPool::parallel_for(int64_t count, Body body) {
  if (count <= 0) return;
  std::unique_lock lock(state_->caller, std::defer_lock);
  if (inside_body || count == 1 || state_->workers.empty() || !lock.try_lock()) {
    for (int64_t i = 0; i < count; ++i) body(i, 0);
    return;
  }
  state_->count = count;
  state_->body = &body;
  state_->failure = nullptr;
  state_->next.store(0);
  state_->members.store(0);
  state_->generation.fetch_add(1, std::memory_order_release);
  state_->generation.notify_all();
  state_->work(0);
  state_->close_and_wait();
  if (state_->failure) std::rethrow_exception(state_->failure);
}

}  // namespace fles
