#include "cpu/roofline.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <vector>

#include "core/threads.h"
#include "cpu/levels.h"

namespace fles::cpu {
namespace {

// Keeps results alive that nothing else reads.
std::atomic<float> sink;

// Shortest time of `repeats` runs of body on every thread of the pool.
template <class Body>
double shortest_seconds(int repeats, const Body& body) {
  ThreadPool& pool = ThreadPool::shared();
  double best = 1e9;
  for (int i = 0; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    pool.parallel_for(pool.size(), [&](int64_t part, int) { body(part); });
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

}  // namespace

double multiply_add_rate(double flop) {
  const Kernels& kernels = chosen_kernels();
  ThreadPool& pool = ThreadPool::shared();
  // Parts that take all threads alike, each short; enough of them that waking the threads does not count.
  constexpr double kSteps = 20'000, kLeast = 100'000, kMost = 1e10;  // the last two: of a thread
  const double threads = pool.size();
  const double asked = flop / kernels.chain_flops / threads;
  const double steps = asked >= kLeast ? std::min(asked, kMost) : kLeast;
  const double parts = threads * std::ceil(steps / kSteps);
  const auto steps_of_part = static_cast<int64_t>(std::ceil(steps * threads / parts));
  const auto start = std::chrono::steady_clock::now();
  pool.parallel_for(static_cast<int64_t>(parts),
                    [&](int64_t, int) { sink = kernels.multiply_add_chains(steps_of_part, 0.999f, 0.001f); });
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  return parts * static_cast<double>(steps_of_part) * kernels.chain_flops / taken.count() / 1e9;
}

Roofline measure_roofline() {
  const int threads = ThreadPool::shared().size();
  constexpr double kSteps = 1'500'000;  // of a thread
  double gflops = 0.0;
  for (int i = 0; i < 8; ++i) {
    gflops = std::max(gflops, multiply_add_rate(kSteps * chosen_kernels().chain_flops * threads));
  }

  constexpr size_t kFloats = size_t{1} << 25;  // 128 MiB a thread: far beyond any cache
  std::vector<float> memory(kFloats * threads, 1.0f);
  const double reading = shortest_seconds(4, [&](int64_t part) {
    const float* from = memory.data() + kFloats * static_cast<size_t>(part);
    float sums[64] = {};
    for (size_t i = 0; i < kFloats; i += 64) {
      for (int j = 0; j < 64; ++j) sums[j] += from[i + j];
    }
    sink = *std::max_element(sums, sums + 64);
  });
  return {gflops, static_cast<double>(memory.size()) * sizeof(float) / reading / 1e9};
}

}  // namespace fles::cpu
