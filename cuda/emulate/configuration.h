// The environment variables of cuda.h, read once.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace emulate {

enum class Schedule { kForward, kReverse, kRandom };
// Unable: it has no algorithm for anything. Older: it does not know epilogues. Refusing: it has algorithms, and then
// does not support what they are for.
enum class CublasLt { kPresent, kAbsent, kUnable, kOlder, kRefusing };

struct Configuration {
  int threads = 1;
  Schedule schedule = Schedule::kForward;
  uint64_t seed = 1;
  bool lazy_streams = false;
  uint64_t stream_seed = 1;
  int64_t fail_allocation = 0, fail_pinned = 0;  // 0: none
  int devices = 1;
  std::vector<int> capabilities{80};  // 10 times the compute capability of each device; the last is that of all others
  CublasLt cublas_lt = CublasLt::kPresent;
  bool abort = false;
  std::string log;  // path of a file; empty: none
};

// Ends the process if a variable has no meaning.
const Configuration& configuration();

// 10 times the compute capability.
inline int capability_of(int device) {
  const std::vector<int>& all = configuration().capabilities;
  return all[std::min(static_cast<size_t>(device), all.size() - 1)];
}

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  // SplitMix64.
  unsigned below(unsigned limit) {
    state_ += 0x9E3779B97F4A7C15U;
    uint64_t z = state_;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
    z = (z ^ z >> 27) * 0x94D049BB133111EBU;
    return static_cast<unsigned>((z ^ z >> 31) % limit);
  }

 private:
  uint64_t state_;
};

}  // namespace emulate
