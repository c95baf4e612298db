// The CPU backend: always there. One instance a level, made on first use and kept for the life of the process.
#pragma once
#include <mutex>
#include <vector>

#include "backend/backend.h"
#include "core/threads.h"
#include "cpu/kernels.h"

namespace fles::cpu {

// The backend at the level that chosen_kernels() gives.
const Backend& backend();
// The backend at one level, for tests and benchmarks; ERR_CPU_LEVEL.
const Backend& backend_at(const std::string& level);

// Memory that an op needs while it runs. It grows to the largest request and is kept, so that a steady state allocates
// nothing; one op at a time uses it.
class Scratch {
 public:
  Scratch() = default;
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  // 64-byte aligned, contents undefined.
  float* floats(size_t count) { return reinterpret_cast<float*>(bytes(count * sizeof(float))); }
  uint8_t* bytes(size_t count);

 private:
  uint8_t* memory_ = nullptr;
  size_t count_ = 0;
};

struct State {
  const Kernels* kernels = nullptr;
  ThreadPool* pool = nullptr;
  std::recursive_mutex one_op;  // an op may be made of others
  Scratch input, other;
  Scratch outer;  // of an op that calls others

  const ProductKernels& products(DataType type) const { return kernels->products[static_cast<int>(type)]; }
};

inline State& state_of(void* self) { return *static_cast<State*>(self); }

// `in` (T, K) as blocks for the matrix kernels, packed by all threads; lives in state.input until the next call.
const uint8_t* pack_input(State& state, DataType type, const float* in, int T, int K);

#define FLES_OP(name, Arguments) void name(void* self, const Arguments& arguments);
#include "ops/ops.def"
#undef FLES_OP

}  // namespace fles::cpu
