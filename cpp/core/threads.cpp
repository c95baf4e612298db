#include "core/threads.h"

#include <algorithm>
#include <atomic>
#include <climits>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <mutex>
#include <sstream>

#include "core/error.h"

#if defined(__linux__)
#include <sched.h>
#endif

namespace fles {
namespace {

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

constexpr int kMostThreads = 1024;
std::mutex count_lock;
int chosen_count = 0, running_count = 0;  // 0: none

}  // namespace

int cgroup_quota(const std::string& root) {
  long long least = 0;
  const auto take = [&](long long quota, long long period) {
    if (quota <= 0 || period <= 0) return;
    const long long processors = quota / period + (quota % period != 0 ? 1 : 0);
    if (least == 0 || processors < least) least = processors;
  };
  const auto read = [](const std::string& path, auto&... numbers) {
    std::ifstream file(path);
    return static_cast<bool>((file >> ... >> numbers));  // no number where there is no limit: "max", or no such file
  };
  const auto read_folder = [&](const std::string& folder) {
    long long quota = 0, period = 0;
    if (read(folder + "/cpu.max", quota, period)) take(quota, period);  // version 2
    if (read(folder + "/cpu.cfs_quota_us", quota) && read(folder + "/cpu.cfs_period_us", period)) take(quota, period);
  };
  const std::string mounts = root + "/sys/fs/cgroup/";
  // A container may see the path of its cgroup on the host, where there is nothing below the mount: its top still
  // counts.
  const auto climb = [&](const std::string& mount, std::string path) {
    for (; !path.empty(); path.resize(path.rfind('/'))) read_folder(mount + path);
    read_folder(mount);
  };
  climb(mounts, "");
  climb(mounts + "cpu", "");
  // Lines "number:controllers:/path"; version 2 has no controllers.
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1), slash = line.find('/', second);
    if (first == std::string::npos || second == std::string::npos || slash != second + 1) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(slash);
    if (controllers.empty()) climb(mounts, path);
    std::stringstream names(controllers);
    for (std::string name; std::getline(names, name, ',');) {
      if (name != "cpu") continue;
      climb(mounts + "cpu", path);
      climb(mounts + controllers, path);
    }
  }
  return static_cast<int>(std::min<long long>(least, INT_MAX));
}

std::vector<std::thread> start_threads(int wanted, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  threads.reserve(static_cast<size_t>(std::max(wanted, 0)));
  try {
    for (int i = 0; i < wanted; ++i) threads.emplace_back(body, i);
  } catch (const std::exception&) {
    return threads;  // those that run have to do
  }
  return threads;
}

int default_thread_count() {
  const char* forced = std::getenv("FLES_NUM_THREADS");
  if (forced != nullptr && *forced != '\0') {
    char* end = nullptr;
    const long value = std::strtol(forced, &end, 10);
    if (*end != '\0' || value < 1 || value > kMostThreads) {
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

namespace {
int count_held() {  // with count_lock
  if (running_count > 0) return running_count;
  return chosen_count > 0 ? chosen_count : default_thread_count();
}
}  // namespace

int thread_count() {
  const std::scoped_lock held(count_lock);
  return count_held();
}

void set_thread_count(int threads) {
  if (threads < 1 || threads > kMostThreads) {
    fail("ERR_NUM_THREADS", "%d threads were asked for, expected 1..%d", threads, kMostThreads);
  }
  const std::scoped_lock held(count_lock);
  if (running_count > 0 && running_count != threads) {
    fail("ERR_THREADS_RUNNING",
         "%d threads were asked for, but %d run already; say how many before the first model or index is opened",
         threads, running_count);
  }
  chosen_count = threads;
}

int take_thread_count() {
  const std::scoped_lock held(count_lock);
  running_count = count_held();
  return running_count;
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
  static auto* pool = new ThreadPool(take_thread_count());
  return *pool;
}

ThreadPool::ThreadPool(int threads) : state_(new State) {
  state_->workers = start_threads(threads - 1, [state = state_](int i) { state->run(i + 1); });
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
