// The training ops on every level: draws bit for bit those of ops/random.h, the same bits in the place of an input, and
// batches without texts.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "cpu/backend_cpu.h"
#include "cpu/levels.h"

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

class EveryLevelTrains : public testing::TestWithParam<const Kernels*> {
 protected:
  ThreadPool pool{2};
  State state;
  EveryLevelTrains() {
    state.kernels = GetParam();
    state.pool = &pool;
  }

  // run(in, out) must leave the same bits in `out` when that is a copy of `in` and the same array.
  template <class Run>
  static void expect_in_place(const Floats& input, Run&& run) {
    Floats apart(input.size(), NAN), in_place = input;
    run(input.data(), apart.data());
    run(in_place.data(), in_place.data());
    EXPECT_EQ(in_place, apart);
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
        state.kernels->train.dropout(
            {.in = in.data(), .residual = nullptr, .out = out.data(), .count = count, .dropout = d, .index = index});
        int wrong = 0;
        for (int i = 0; i < count; ++i) wrong += static_cast<int>(out[i] != dropout_factor(d, index + i));
        EXPECT_EQ(wrong, 0);
      }
    }
  }
}

TEST_P(EveryLevelTrains, OutputsInTheirInputsPlaceAreTheSame) {
  const int T = 71, C = 37;
  const std::vector<int32_t> offsets = {0, 30, 30, T}, text_ids = {4, 5, 6};
  const Floats in = random_floats(T * C, 1), other = random_floats(T * C, 2), gamma = random_floats(C, 3);
  for (const float p : {0.0f, 0.25f}) {
    expect_in_place(in, [&](const float* from, float* to) {
      dropout(&state, {from, other.data(), offsets.data(), text_ids.data(), to, 3, T, C, p, 9});
    });
    expect_in_place(in, [&](const float* residual, float* to) {
      dropout(&state, {other.data(), residual, offsets.data(), text_ids.data(), to, 3, T, C, p, 9});
    });
  }
  expect_in_place(in, [&](const float* d_out, float* d_in) {
    Floats d_gamma(C), d_beta(C);
    layernorm_backward(&state, {d_out, other.data(), gamma.data(), d_in, d_gamma.data(), d_beta.data(), T, C, 1e-12f});
  });
  for (const Activation kind : {Activation::kNone, Activation::kGelu, Activation::kGeluNew, Activation::kRelu}) {
    expect_in_place(in, [&](const float* from, float* to) { activation(&state, {from, to, T, C, kind}); });
    expect_in_place(in, [&](const float* d_out, float* d_in) {
      activation_backward(&state, {other.data(), d_out, d_in, T, C, kind});
    });
  }
}

TEST_P(EveryLevelTrains, ABatchWithoutTextsLeavesEveryGradientAsItIs) {
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
