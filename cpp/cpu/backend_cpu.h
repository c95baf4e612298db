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
  size_t size() const { return count_; }  // bytes of the largest request

 private:
  uint8_t* memory_ = nullptr;
  size_t count_ = 0;
};

struct State {
  const Kernels* kernels = nullptr;
  ThreadPool* pool = nullptr;
  std::recursive_mutex one_op;  // an op may be made of others
  Scratch input, other;
  Scratch panels;  // of the threads' panels_at_once
  Scratch groups;  // of a product's rows
  Scratch outer;   // of an op that calls others

  const ProductKernels& products(DataType type) const { return kernels->products[static_cast<int>(type)]; }
  // For a product of T rows. What it is depends on T only where a row's result may.
  const ProductKernels& products(DataType type, int T, Numerics numerics) const {
    constexpr int kRows = 128;  // from which on it pays to split the panels
    const bool splits = type == DataType::kFloat32 && kernels->split.MR > 0 && T >= kRows;
    return splits && numerics == Numerics::kFast ? kernels->split : products(type);
  }
  // The same with a weight that is packed already.
  const ProductKernels& products(const PackedMatrix& weight, int T, Numerics numerics) const {
    return weight.K % 32 == 0 ? products(weight.type, T, numerics) : products(weight.type);
  }
  // Bytes of scratch that a thread needs for its panels.
  static size_t panel_scratch(const ProductKernels& products, int K) {
    return static_cast<size_t>(products.scratch_bytes(K)) * panels_at_once(products, K);
  }
};

inline State& state_of(void* self) { return *static_cast<State*>(self); }

// `in` (T, K) as blocks for the matrix kernels, packed by all threads; lives in state.input until the next product.
const uint8_t* pack_input(State& state, const ProductKernels& products, const float* in, int T, int K);

#define FLES_OP(name, Arguments) void name(void* self, const Arguments& arguments);
#include "ops/ops.def"
#undef FLES_OP

}  // namespace fles::cpu
