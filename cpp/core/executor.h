// Threads that run jobs in the order they came, away from Node's event loop and its four file threads.
#pragma once
#include <functional>
#include <memory>

namespace fles {

class Executor {
 public:
  // Encoding and everything else that uses the whole compute pool: one job at a time.
  static Executor& compute();
  // What waits for a device and collects what it has computed: one job at a time.
  static Executor& collect();
  // Searches: one job a thread, as many threads as the compute pool has.
  static Executor& search();

  // Goes on with fewer threads where the system starts no more; ERR_THREAD_START when it starts none.
  explicit Executor(int threads);
  ~Executor();  // finishes the jobs it has
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  void submit(std::function<void()> job);  // the job must not throw

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fles
