// Every op of the table, called as its fields describe it, at sizes that fill no vector, on every level: the same bits
// with any number of threads, and no allocation once it has run. Arrays have exactly the size that is promised, so that
// AddressSanitizer sees a step too far. What ops compute is tested in test/ops.
#include <gtest/gtest.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>
#include <initializer_list>
#include <map>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "allocations.h"
#include "cpu/backend_cpu.h"
#include "cpu/levels.h"

namespace fles::cpu {
const Kernels* wide_kernels();

namespace {

// Texts without tokens are among the 6, and one has more rows than an op hands out at once.
const std::map<std::string, int> kSizes = {
    {"B", 6},   {"M", 5},         {"C", 39},        {"D", 9},     {"H", 3},      {"K", 45},
    {"N", 173}, {"P", 151},       {"Q", 5},         {"R", 211},   {"k", 7},      {"T", 172},
    {"V", 203}, {"count", 70001}, {"normalize", 1}, {"seed", 77}, {"least", 40}, {"least_from", 1},
};
const std::map<std::string, float> kNumbers = {
    {"beta1", 0.9f},         {"beta2", 0.999f}, {"cut", 0.3f},     {"correction1", 0.1f},
    {"correction2", 0.001f}, {"decay", 0.01f},  {"dropout", 0.2f}, {"eps", 1e-8f},
    {"margin", 0.5f},        {"rate", 0.001f},  {"scale", 0.5f},   {"threshold", 0.1f},
};

template <class Value>
Value known(const std::map<std::string, Value>& values, const char* name) {
  const auto found = values.find(name);
  if (found != values.end()) return found->second;
  ADD_FAILURE() << "give " << name << " a value in this test";
  return {};
}

// Fills an op's arguments by its fields. `variant` counts through the names of every choice.
class Arguments {
 public:
  Arguments(const Backend& backend, int variant, bool screened)
      : backend_(backend), variant_(variant), screened_(screened) {}
  ~Arguments() {
    for (PackedMatrix* matrix : packed_) backend_.release_packed(backend_.self, matrix);
  }
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;

  void size(const char* name, int& value) { value = sizes_[name] = known(kSizes, name); }
  void number(const char* name, float& value) { value = known(kNumbers, name); }
  template <class Enum>
  void choice(const char* name, Enum& value, std::initializer_list<const char*> names) {
    const int chosen = variant_ % static_cast<int>(names.size());
    value = static_cast<Enum>(chosen);
    if (std::string(name) == "pooling") with_argmax_ = chosen == 0;
  }
  void product_type(const char*, DataType& type) {
    constexpr DataType kTypes[] = {DataType::kFloat32, DataType::kBfloat16, DataType::kInt16};
    type = kTypes[variant_ % 3];
  }
  template <class Enum>
  void optional_choice(const char* name, Enum& value, std::initializer_list<const char*> names) {
    choice(name, value, names);
  }
  void input(const char* name, const float*& pointer, int64_t count) {
    std::uniform_real_distribution<float> uniform(std::string(name) == "second" ? 0.0f : -2.0f, 2.0f);
    std::vector<float>& values = floats_.emplace_back(count);
    for (float& value : values) value = uniform(random_);
    pointer = values.data();
  }
  void input(const char*, const uint8_t*& pointer, int64_t count) {
    std::vector<uint8_t>& values = bytes_.emplace_back(count);
    for (int64_t i = 0; i < count; ++i) values[i] = i % 5 == 0 ? 1 : 0;
    pointer = values.data();
  }
  void input(const char* name, const int32_t*& pointer, int64_t count) {
    std::vector<int32_t>& values = integers_.emplace_back(count);
    for (int64_t i = 0; i < count; ++i) values[i] = integer(name, static_cast<int>(i));
    pointer = values.data();
  }
  void host(const char* name, const int32_t*& pointer, int64_t count) { input(name, pointer, count); }
  template <class T>
  void optional(const char* name, const T*& pointer, int64_t count) {
    pointer = nullptr;
    if (with_argmax_ || std::string(name) != "argmax") input(name, pointer, count);
  }
  template <class T>
  void output(const char* name, T*& pointer, int64_t count) {
    const T* memory = nullptr;
    input(std::is_same_v<T, int32_t> ? "unwritten" : name, memory, count);
    pointer = const_cast<T*>(memory);
    outputs_.push_back({name, pointer, static_cast<size_t>(count) * sizeof(T)});
  }
  template <class T>
  void optional_output(const char* name, T*& pointer, int64_t count) {
    pointer = nullptr;
    if (with_argmax_ || std::string(name) != "argmax") output(name, pointer, count);
  }
  void weight(const char*, const PackedMatrix*& matrix, int N, int K) {
    matrix = packed(N, K, static_cast<DataType>(variant_ % kDataTypes));
  }
  void optional_weight(const char*, const PackedMatrix*& matrix, int N, int K, DataType type) {
    const bool may_be = with_argmax_ && static_cast<DataType>(variant_ % kDataTypes) != DataType::kInt8;
    matrix = screened_ && may_be ? packed(N, K, type) : nullptr;
  }

  // What the op has written, by output.
  std::map<std::string, std::string> results() const {
    std::map<std::string, std::string> results;
    for (const Output& out : outputs_) results[out.name] = std::string(static_cast<const char*>(out.memory), out.bytes);
    return results;
  }

 private:
  struct Output {
    const char* name;
    const void* memory;
    size_t bytes;
  };

  const PackedMatrix* packed(int N, int K, DataType type) {
    const float* rows = nullptr;
    input("rows", rows, int64_t{N} * K);
    packed_.push_back(backend_.create_packed(backend_.self, N, K, type));
    backend_.pack_rows(backend_.self, packed_.back(), rows, 0, N);
    return packed_.back();
  }
  int offset(int text) const {
    const auto tokens = sizes_.find("T");
    const int total = tokens != sizes_.end() ? tokens->second : sizes_.at("N");
    const int offsets[] = {0, 3, 3, 20, total - 1, total - 1, total};
    return offsets[text];
  }
  int integer(const std::string& name, int i) const {
    if (name == "offsets") return offset(i);
    if (name == "tokens") return i % 3 == 0 ? sizes_.at("V") - 1 : i * 7 % sizes_.at("V");
    if (name == "text_ids") return i % 2 == 0 ? i : -i;
    if (name == "labels") return i * 7 % sizes_.at("V");
    if (name == "rows") return i * 2 % sizes_.at("R");  // no row twice
    if (name == "argmax") {
      const int text = i / sizes_.at("V"), first = offset(text), rows = offset(text + 1) - first;
      return rows == 0 ? -1 : first + i % rows;
    }
    if (name == "terms") {  // those of a text ascend, and a text has at most 151
      int text = 0;
      while (offset(text + 1) <= i) ++text;
      return i - offset(text);
    }
    return 7;  // unwritten
  }

  const Backend& backend_;
  int variant_;
  bool screened_;
  bool with_argmax_ = true;
  std::map<std::string, int> sizes_;
  std::mt19937 random_{5};
  std::deque<std::vector<float>> floats_;
  std::deque<std::vector<int32_t>> integers_;
  std::deque<std::vector<uint8_t>> bytes_;
  std::vector<PackedMatrix*> packed_;
  std::vector<Output> outputs_;
};

class EveryOp : public testing::TestWithParam<const Kernels*> {
 protected:
  // A backend of this level with a pool and memory of its own.
  struct Instance {
    ThreadPool pool;
    State state;
    Backend backend = cpu::backend();
    explicit Instance(int threads) : pool(threads) {
      state.kernels = GetParam();
      state.pool = &pool;
      backend.self = &state;
    }
    std::vector<float*> memory() { return {state.input.floats(1), state.other.floats(1), state.outer.floats(1)}; }
  };

  // check(name, function, arguments) for every op, for every variant of its choices.
  template <class Check>
  static void for_every_op(Check&& check) {
    for (const int variant : {0, 1, 2, 3, 9}) {  // 0, 3 and 9 have a screen: of float32, int16 and bfloat16
#define FLES_OP(op, Struct)                                                                     \
  {                                                                                             \
    SCOPED_TRACE(testing::Message() << #op << ", variant " << variant);                         \
    check([](void* self, const Struct& arguments) { op(self, arguments); }, Struct{}, variant); \
  }
#include "ops/ops.def"
#undef FLES_OP
    }
  }
};

TEST_P(EveryOp, GivesTheSameBitsWithAnyNumberOfThreads) {
  for_every_op([](auto op, auto arguments, int variant) {
    std::map<std::string, std::string> expected;
    for (const int threads : {1, 2, 5}) {
      Instance instance(threads);
      Arguments filled(instance.backend, variant, true);
      fields(filled, arguments);
      op(&instance.state, arguments);
      if (threads == 1) expected = filled.results();
      ASSERT_FALSE(expected.empty());
      for (const auto& [name, bytes] : filled.results()) {
        EXPECT_TRUE(bytes == expected[name]) << name << " with " << threads << " threads";
      }
    }
  });
}

// Of more rows than each thread packs at once, in every type: threads help one another with what is left.
TEST_P(EveryOp, ProductsOfManyRowsAreTheSameWithAnyNumberOfThreads) {
  constexpr int T = 420, N = 17, K = 12000;  // in vectors 6 groups of rows or more, whose memory is used again
  std::mt19937 random(11);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  std::vector<float> in(T * K), weight(N * K);
  for (float& x : in) x = uniform(random);
  for (float& x : weight) x = uniform(random);
  for (int type = 0; type < kDataTypes; ++type) {
    SCOPED_TRACE(testing::Message() << "type " << type);
    std::vector<float> expected;
    for (const int threads : {1, 2, 5}) {
      Instance instance(threads);
      PackedMatrix* matrix = instance.backend.create_packed(&instance.state, N, K, static_cast<DataType>(type));
      instance.backend.pack_rows(&instance.state, matrix, weight.data(), 0, N);
      for (int run = 0; run < 3; ++run) {
        std::vector<float> out(T * N, std::numeric_limits<float>::quiet_NaN());
        linear(&instance.state, {.in = in.data(),
                                 .weight = matrix,
                                 .bias = nullptr,
                                 .residual = nullptr,
                                 .out = out.data(),
                                 .T = T,
                                 .N = N,
                                 .K = K,
                                 .activation = Activation::kNone});
        if (expected.empty()) expected = out;
        EXPECT_EQ(out, expected) << threads << " threads, run " << run;
      }
      instance.backend.release_packed(&instance.state, matrix);
    }
    EXPECT_TRUE(std::all_of(expected.begin(), expected.end(), [](float x) { return std::isfinite(x); }));
  }
}

TEST_P(EveryOp, GradientsOfManyRowsAreTheSameWithAnyNumberOfThreads) {
  constexpr int T = 1100, N = 900, K = 40;
  std::mt19937 random(12);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  std::vector<float> in(T * K), d_out(T * N), weight(N * K);
  for (auto* values : {&in, &d_out, &weight}) {
    for (float& x : *values) x = uniform(random);
  }
  for (const DataType type : {DataType::kFloat32, DataType::kBfloat16, DataType::kInt16}) {
    SCOPED_TRACE(testing::Message() << "type " << static_cast<int>(type));
    std::vector<float> expected_d_in, expected_d_weight;
    for (const int threads : {1, 2, 5}) {
      Instance instance(threads);
      std::vector<float> d_in(T * K, std::numeric_limits<float>::quiet_NaN()), d_weight(N * K, 0.5f);
      linear_backward(&instance.state, {.d_out = d_out.data(),
                                        .in = in.data(),
                                        .weight = weight.data(),
                                        .d_in = d_in.data(),
                                        .d_weight = d_weight.data(),
                                        .d_bias = nullptr,
                                        .T = T,
                                        .N = N,
                                        .K = K,
                                        .type = type});
      if (threads == 1) expected_d_in = d_in, expected_d_weight = d_weight;
      EXPECT_EQ(d_in, expected_d_in) << threads << " threads";
      EXPECT_EQ(d_weight, expected_d_weight) << threads << " threads";
    }
    for (const auto* values : {&expected_d_in, &expected_d_weight}) {
      EXPECT_TRUE(std::all_of(values->begin(), values->end(), [](float x) { return std::isfinite(x); }));
    }
  }
}

TEST_P(EveryOp, AllocatesNothingOnceItHasRun) {
  Instance instance(2);
  for_every_op([&](auto op, auto arguments, int variant) {
    // A screen's candidates are found anew each time.
    Arguments filled(instance.backend, variant, false);
    fields(filled, arguments);
    op(&instance.state, arguments);
    const std::vector<float*> memory = instance.memory();
    const int64_t before = allocations();
    op(&instance.state, arguments);
    EXPECT_EQ(allocations() - before, 0);
    EXPECT_EQ(instance.memory(), memory);
  });
}

#if defined(__x86_64__)
// A processor needs many times as long for numbers too small to be normal. One that was read stays noted in MXCSR.
TEST_P(EveryOp, ReadsNoDenormalsThatOtherOpsHaveLeftInItsScratch) {
  constexpr unsigned kFlags = 0x3F, kDenormal = 2;
  Instance instance(1);
  for_every_op([&](auto op, auto arguments, int variant) {
    Arguments filled(instance.backend, variant, true);
    fields(filled, arguments);
    op(&instance.state, arguments);
    State& state = instance.state;
    for (Scratch* scratch : {&state.input, &state.other, &state.panels, &state.outer}) {
      const size_t count = scratch->size() / sizeof(float);
      std::fill_n(scratch->floats(count), count, std::numeric_limits<float>::denorm_min() * 1000);
    }
    _mm_setcsr(_mm_getcsr() & ~kFlags);
    op(&state, arguments);
    EXPECT_EQ(_mm_getcsr() & kDenormal, 0U);
  });
}
#endif

std::vector<const Kernels*> every_level() {
  std::vector<const Kernels*> levels = usable_kernels();
  levels.push_back(wide_kernels());
  return levels;
}

INSTANTIATE_TEST_SUITE_P(Levels, EveryOp, testing::ValuesIn(every_level()),
                         [](const auto& info) { return std::string(info.param->name); });

}  // namespace
}  // namespace fles::cpu
