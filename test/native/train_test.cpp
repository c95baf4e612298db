// The training ops on every level: draws bit for bit those of ops/random.h, the same bits with any number of threads
// and in place, and no allocation once they have run. Buffers have exactly the size that is promised, so that
// AddressSanitizer sees a step too far. What the ops compute is tested in test/ops.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "allocations.h"
#include "cpu/backend_cpu.h"
#include "cpu/cpu_features.h"

namespace fles::cpu {
const Kernels* wide_kernels();

namespace {

using Floats = std::vector<float>;

Floats random_floats(int64_t count, unsigned seed) {
  std::mt19937 source(seed);
  std::uniform_real_distribution<float> uniform(-2.0f, 2.0f);
  Floats values(count);
  for (float& value : values) value = uniform(source);
  return values;
}

// Texts of sizes that fill no vector, some without tokens, and more rows than one part has.
struct Problem {
  std::vector<int32_t> offsets = {0, 3, 3, 20, 171, 172, 172};
  std::vector<int32_t> text_ids = {4, 0, -7, 2147483647, 9, 1};
  int B = 6, T = 172, C = 37, N = 203, V = 29, P = 151;
  std::vector<int32_t> tokens;
  Floats in, d_out, wide, d_wide, gamma, beta, word, position, type, first, second;
  bool in_place;
  explicit Problem(bool in_place = false)
      : tokens(T),
        in(random_floats(int64_t{T} * C, 1)),
        d_out(random_floats(int64_t{T} * C, 2)),
        wide(random_floats(int64_t{T} * N, 3)),
        d_wide(random_floats(int64_t{T} * N, 4)),
        gamma(random_floats(C, 5)),
        beta(random_floats(C, 6)),
        word(random_floats(int64_t{V} * C, 7)),
        position(random_floats(int64_t{P} * C, 8)),
        type(random_floats(C, 9)),
        first(random_floats(int64_t{T} * N, 10)),
        second(int64_t{T} * N, 0.5f),
        in_place(in_place) {
    for (int t = 0; t < T; ++t) tokens[t] = t % 3 == 0 ? 28 : t * 7 % 27;
  }

  // Outputs of a run, one after the other; their memory is kept from run to run.
  std::vector<Floats> results;
  size_t next = 0;
  float* copy_of(const Floats& values) {
    if (next == results.size()) results.emplace_back();
    results[next] = values;
    return results[next++].data();
  }
  float* output(int64_t count, float fill = NAN) {
    if (next == results.size()) results.emplace_back();
    results[next].assign(count, fill);
    return results[next++].data();
  }
  float* output(const Floats& input) { return in_place ? copy_of(input) : output(static_cast<int64_t>(input.size())); }
  // The input of an op whose output may be in its place.
  const float* or_in_place(const Floats& input, const float* out) const { return in_place ? out : input.data(); }

  // Every op once.
  void run(State& state) {
    next = 0;
    {
      float* out = output(int64_t{T} * C);
      float* sum = output(int64_t{T} * C);
      embedding(&state, {.tokens = tokens.data(),
                         .offsets = offsets.data(),
                         .word = word.data(),
                         .position = position.data(),
                         .type = type.data(),
                         .gamma = gamma.data(),
                         .beta = beta.data(),
                         .out = out,
                         .sum = sum,
                         .B = B,
                         .T = T,
                         .C = C,
                         .V = V,
                         .P = P,
                         .eps = 1e-12f});
    }
    {
      float* d_word = output(int64_t{V} * C, 0.5f);
      float* d_position = output(int64_t{P} * C, 0.5f);
      float* d_type = output(C, 0.5f);
      embedding_backward(&state, {.tokens = tokens.data(),
                                  .offsets = offsets.data(),
                                  .d_sum = d_out.data(),
                                  .d_word = d_word,
                                  .d_position = d_position,
                                  .d_type = d_type,
                                  .B = B,
                                  .T = T,
                                  .C = C,
                                  .V = V,
                                  .P = P});
    }
    for (const float p : {0.0f, 0.25f}) {
      float* out = output(in);
      dropout(&state, {.in = or_in_place(in, out),
                       .residual = d_out.data(),
                       .offsets = offsets.data(),
                       .text_ids = text_ids.data(),
                       .out = out,
                       .B = B,
                       .T = T,
                       .C = C,
                       .dropout = p,
                       .seed = 77});
    }
    {
      float* d_in = output(d_out);
      float* d_gamma = output(C, 0.5f);
      float* d_beta = output(C, 0.5f);
      layernorm_backward(&state, {.d_out = or_in_place(d_out, d_in),
                                  .in = in.data(),
                                  .gamma = gamma.data(),
                                  .d_in = d_in,
                                  .d_gamma = d_gamma,
                                  .d_beta = d_beta,
                                  .T = T,
                                  .C = C,
                                  .eps = 1e-12f});
    }
    for (const Activation kind : {Activation::kNone, Activation::kGelu, Activation::kGeluNew, Activation::kRelu}) {
      float* out = output(wide);
      activation(&state, {.in = or_in_place(wide, out), .out = out, .T = T, .N = N, .activation = kind});
      float* d_in = output(d_wide);
      activation_backward(
          &state,
          {.in = wide.data(), .d_out = or_in_place(d_wide, d_in), .d_in = d_in, .T = T, .N = N, .activation = kind});
    }
    square_sum(&state, {.in = wide.data(), .out = output(1), .count = T * N});
    {
      float* parameter = copy_of(wide);
      float* moment = copy_of(first);
      float* moment2 = copy_of(second);
      adamw(&state, {.parameter = parameter,
                     .gradient = d_wide.data(),
                     .first = moment,
                     .second = moment2,
                     .count = T * N,
                     .rate = 1e-3f,
                     .beta1 = 0.9f,
                     .beta2 = 0.999f,
                     .eps = 1e-8f,
                     .decay = 0.01f,
                     .correction1 = 0.1f,
                     .correction2 = 0.001f,
                     .scale = 0.5f});
    }
  }
};

class EveryLevelTrains : public testing::TestWithParam<const Kernels*> {
 protected:
  static void prepare(State& state, ThreadPool& pool) {
    state.kernels = GetParam();
    state.pool = &pool;
  }
};

TEST_P(EveryLevelTrains, DrawsOfDropoutAreThoseOfItsDefinition) {
  const uint64_t carry = (uint64_t{1} << 35) - 80;  // 10 blocks before the low word of the counter is full
  for (const uint64_t index : {uint64_t{0}, uint64_t{5}, uint64_t{768}, carry, carry + 3, (uint64_t{7} << 40) + 1}) {
    for (const int count : {1, 7, 8, 9, 100, 2048, 2049, 5000}) {
      SCOPED_TRACE(testing::Message() << "index " << index << ", count " << count);
      for (const Dropout& d : {Dropout{dropout_rate(0.1f), 3, 4}, Dropout{dropout_rate(0.5f), 2147483647, -1}}) {
        const Floats in(count, 1.0f);
        Floats out(count, NAN);
        GetParam()->train.dropout(
            {.in = in.data(), .residual = nullptr, .out = out.data(), .count = count, .dropout = d, .index = index});
        int wrong = 0;
        for (int i = 0; i < count; ++i) wrong += static_cast<int>(out[i] != dropout_factor(d, index + i));
        EXPECT_EQ(wrong, 0);
      }
    }
  }
}

TEST_P(EveryLevelTrains, ResultsAreTheSameBitsWithAnyNumberOfThreads) {
  std::vector<Floats> expected;
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    State state;
    prepare(state, pool);
    Problem problem;
    problem.run(state);
    for (const Floats& result : problem.results) {
      for (const float value : result) ASSERT_TRUE(std::isfinite(value));
    }
    if (expected.empty()) expected = problem.results;
    EXPECT_EQ(problem.results, expected) << threads << " threads";
  }
}

TEST_P(EveryLevelTrains, ResultsInTheirInputsPlaceAreTheSame) {
  ThreadPool pool(2);
  State state;
  prepare(state, pool);
  Problem apart, in_place(true);
  apart.run(state);
  in_place.run(state);
  EXPECT_EQ(in_place.results, apart.results);
}

TEST_P(EveryLevelTrains, ASteadyStateAllocatesNothing) {
  ThreadPool pool(2);
  State state;
  prepare(state, pool);
  Problem problem;
  problem.run(state);
  const auto memory = [&] { return std::vector<float*>{state.input.floats(1), state.other.floats(1)}; };
  const std::vector<float*> before = memory();
  const int64_t count = allocations();
  problem.run(state);
  EXPECT_EQ(allocations(), count);
  EXPECT_EQ(memory(), before);
}

TEST_P(EveryLevelTrains, ABatchWithoutTextsLeavesEveryGradientAsItIs) {
  ThreadPool pool(2);
  State state;
  prepare(state, pool);
  const int32_t zero = 0;
  Floats held(5, 0.5f);
  float sum = NAN;
  float* none = nullptr;
  embedding_backward(&state, {nullptr, &zero, nullptr, held.data(), held.data(), held.data(), 0, 0, 5, 1, 1});
  layernorm_backward(&state, {nullptr, nullptr, held.data(), nullptr, held.data(), held.data(), 0, 5, 1e-12f});
  dropout(&state, {nullptr, nullptr, &zero, &zero, nullptr, 0, 0, 5, 0.1f, 1});
  activation(&state, {nullptr, none, 0, 5, Activation::kGelu});
  activation_backward(&state, {nullptr, nullptr, none, 0, 5, Activation::kGelu});
  adamw(&state, {none, nullptr, none, none, 0, 1, 0.9f, 0.999f, 1e-8f, 0, 1, 1, 1});
  square_sum(&state, {nullptr, &sum, 0});
  EXPECT_EQ(held, Floats(5, 0.5f));
  EXPECT_EQ(sum, 0.0f);
}

std::vector<const Kernels*> every_level() {
  std::vector<const Kernels*> levels = usable_kernels();
  levels.push_back(wide_kernels());
  return levels;
}

INSTANTIATE_TEST_SUITE_P(Levels, EveryLevelTrains, testing::ValuesIn(every_level()),
                         [](const auto& info) { return std::string(info.param->name); });

}  // namespace
}  // namespace fles::cpu
