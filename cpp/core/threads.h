// The one pool of compute threads of the process. Results never depend on how many there are.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace fles {

// FLES_NUM_THREADS (1..1024; ERR_NUM_THREADS for anything else), else the processors this process may run on, cut by
// the cgroup's CPU quota.
int default_thread_count();

// Threads that run, or else would: as many as set_thread_count() said, or the default.
int thread_count();

// Says how many. ERR_NUM_THREADS unless it is in 1..1024; ERR_THREADS_RUNNING once another number of them runs.
void set_thread_count(int threads);

// thread_count() for those who start them: it stays from then on.
int take_thread_count();

// Processors that CPU quotas grant this process, rounded up; 0 without a quota. A quota of any cgroup from the
// process's own up to the top counts, and the least decides. `root` is the folder that /proc and /sys are in.
int cgroup_quota(const std::string& root = "");

// Runs body(i) on a thread of its own for each i in 0..wanted-1: on fewer where the system starts no more, which a
// limit on processes can bring about.
std::vector<std::thread> start_threads(int wanted, const std::function<void(int)>& body);

class ThreadPool {
 public:
  static ThreadPool& shared();
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const;  // the caller's thread and those that could be started

  // A reference to a callable (index, thread): an op that runs again and again allocates nothing for it.
  class Body {
   public:
    template <class Callable>
    Body(const Callable& callable)
        : callable_(&callable),
          call_([](const void* to, int64_t index, int thread) { (*static_cast<const Callable*>(to))(index, thread); }) {
    }
    void operator()(int64_t index, int thread) const { call_(callable_, index, thread); }

   private:
    const void* callable_;
    void (*call_)(const void*, int64_t, int);
  };

  // Calls body(index, thread) for every index in 0..count-1, thread in 0..size()-1; returns when all are done.
  // Indices are handed out one by one. A second caller at the same time, or a nested call, runs on its own thread
  // alone. The first exception of a body is thrown again here, after the others have stopped.
  void parallel_for(int64_t count, Body body);

 private:
  struct State;
  State* state_;
};

}  // namespace fles
