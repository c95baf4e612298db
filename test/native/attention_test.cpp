// Attention of one head, forward and backward, at every level this machine runs and in the 64-byte code, against plain
// double loops on odd sizes.
//
// Tolerance: twice the error that the same plain loops make in float32, and 1e-6 of the largest value or of 1: 2^x is
// within 3 units in the last place where the library's exponential is within 1, and gradients are differences of
// numbers as large as 20. Buffers have exactly the size
// that is promised, so that AddressSanitizer sees a step too far.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "cpu/backend_cpu.h"
#include "cpu/levels.h"
#include "ops/random.h"

namespace fles::cpu {
const Kernels* wide_kernels();

namespace {

std::mt19937 random_source(20240611);

std::vector<float> random_floats(int64_t count) {
  std::vector<float> values(count);
  std::uniform_real_distribution<float> uniform(-2.0f, 2.0f);
  for (float& value : values) value = uniform(random_source);
  return values;
}

void expect_close(const std::vector<float>& actual, const std::vector<double>& exact, const std::vector<float>& plain) {
  ASSERT_EQ(actual.size(), exact.size());
  double largest = 0, plain_error = 0, error = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    ASSERT_TRUE(std::isfinite(actual[i])) << "value " << i;
    largest = std::max(largest, std::abs(exact[i]));
    plain_error = std::max(plain_error, std::abs(plain[i] - exact[i]));
    error = std::max(error, std::abs(actual[i] - exact[i]));
  }
  EXPECT_LE(error, 2 * plain_error + 1e-6 * std::max(largest, 1.0));
}

// One head with its mask and the gradient of its output; `qkv` has the three parts side by side.
struct Problem {
  int S, D;
  Dropout dropout{};
  // A head whose blocks of draws start where the low word of their number ends.
  uint64_t first_block = 0xFFFFFFFFU - 40;
  std::vector<float> qkv, d_out, factors;  // factors: (S, S), of the mask

  Problem(int length, int size, float drop) : S(length), D(size), qkv(random_floats(length * 3 * size)) {
    d_out = random_floats(length * size);
    if (drop > 0) dropout = {dropout_rate(drop), 12345, 678};
    for (int i = 0; i < S; ++i) {
      for (int j = 0; j < S; ++j) {
        const uint64_t index = first_block * 8 + attention_index(0, i, j, S);
        factors.push_back(drop > 0 ? dropout_factor(dropout, index) : 1.0f);
      }
    }
  }

  float scale() const { return 1.0f / std::sqrt(static_cast<float>(D)); }
  float at(int s, int part, int d) const { return qkv[(s * 3 + part) * D + d]; }
};

template <class Real>
struct Reference {
  std::vector<Real> out, log_sums, d_qkv;

  explicit Reference(const Problem& p) : out(p.S * p.D), log_sums(p.S), d_qkv(p.S * 3 * p.D) {
    const Real scale = 1 / std::sqrt(static_cast<Real>(p.D));
    std::vector<Real> weights(p.S);
    for (int i = 0; i < p.S; ++i) {
      for (int j = 0; j < p.S; ++j) {
        weights[j] = 0;
        for (int d = 0; d < p.D; ++d) weights[j] += scale * p.at(i, 0, d) * p.at(j, 1, d);
      }
      const Real top = *std::max_element(weights.begin(), weights.end());
      Real total = 0;
      for (Real& weight : weights) total += weight = std::exp(weight - top);
      log_sums[i] = top + std::log(total);
      Real product = 0;
      for (int d = 0; d < p.D; ++d) {
        for (int j = 0; j < p.S; ++j) out[i * p.D + d] += weights[j] / total * p.factors[i * p.S + j] * p.at(j, 2, d);
        product += out[i * p.D + d] * p.d_out[i * p.D + d];
      }
      for (int j = 0; j < p.S; ++j) {
        Real d_weight = 0;
        for (int d = 0; d < p.D; ++d) d_weight += p.d_out[i * p.D + d] * p.at(j, 2, d);
        const Real d_score = weights[j] / total * (d_weight * p.factors[i * p.S + j] - product);
        for (int d = 0; d < p.D; ++d) {
          d_qkv[(i * 3 + 0) * p.D + d] += scale * d_score * p.at(j, 1, d);
          d_qkv[(j * 3 + 1) * p.D + d] += scale * d_score * p.at(i, 0, d);
          d_qkv[(j * 3 + 2) * p.D + d] += weights[j] / total * p.factors[i * p.S + j] * p.d_out[i * p.D + d];
        }
      }
    }
  }
};

class AttentionAtEveryLevel : public testing::TestWithParam<const Kernels*> {
 protected:
  const Kernels& kernels = *GetParam();
  static constexpr float kUnwritten = std::numeric_limits<float>::quiet_NaN();
  float found_in_scratch = kUnwritten;

  // `floats` of scratch at a multiple of 64 bytes, up to the end of the buffer.
  float* scratch(size_t floats) {
    room_.assign(floats + 16, found_in_scratch);
    const auto past = reinterpret_cast<uintptr_t>(room_.data() + 16) % 64 / sizeof(float);
    return room_.data() + 16 - past;
  }

  void forward(const Problem& p, std::vector<float>& out, std::vector<float>& log_sums) {
    out.assign(p.S * p.D, kUnwritten), log_sums.assign(p.S, kUnwritten);
    kernels.attention_head({.q = p.qkv.data(),
                            .k = p.qkv.data() + p.D,
                            .v = p.qkv.data() + 2 * p.D,
                            .ld = 3 * p.D,
                            .out = out.data(),
                            .ld_out = p.D,
                            .log_sums = log_sums.data(),
                            .ld_log_sums = 1,
                            .S = p.S,
                            .D = p.D,
                            .scale = p.scale(),
                            .dropout = p.dropout,
                            .first_block = p.first_block,
                            .scratch = scratch(kernels.attention_scratch(p.S, p.D))});
  }

  std::vector<float> backward(const Problem& p, const std::vector<float>& out, const std::vector<float>& log_sums) {
    std::vector<float> d_qkv(p.S * 3 * p.D, kUnwritten);
    kernels.attention_backward_head({.q = p.qkv.data(),
                                     .k = p.qkv.data() + p.D,
                                     .v = p.qkv.data() + 2 * p.D,
                                     .d_q = d_qkv.data(),
                                     .d_k = d_qkv.data() + p.D,
                                     .d_v = d_qkv.data() + 2 * p.D,
                                     .out = out.data(),
                                     .d_out = p.d_out.data(),
                                     .ld = 3 * p.D,
                                     .ld_out = p.D,
                                     .log_sums = log_sums.data(),
                                     .ld_log_sums = 1,
                                     .S = p.S,
                                     .D = p.D,
                                     .scale = p.scale(),
                                     .dropout = p.dropout,
                                     .first_block = p.first_block,
                                     .scratch = scratch(kernels.attention_backward_scratch(p.S, p.D))});
    return d_qkv;
  }

 private:
  std::vector<float> room_;
};

TEST_P(AttentionAtEveryLevel, ForwardAndBackwardAreTheFormulas) {
  // 200 tokens have more scores than the backward pass keeps at once.
  for (const int S : {1, 2, 7, 16, 33, 100, 200}) {
    for (const int D : {1, 32, 35}) {
      for (const float drop : {0.0f, 0.1f}) {
        SCOPED_TRACE(testing::Message() << "S " << S << ", D " << D << ", dropout " << drop);
        const Problem p(S, D, drop);
        const Reference<double> exact(p);
        const Reference<float> plain(p);
        std::vector<float> out, log_sums;
        forward(p, out, log_sums);
        expect_close(out, exact.out, plain.out);
        expect_close(log_sums, exact.log_sums, plain.log_sums);
        expect_close(backward(p, out, log_sums), exact.d_qkv, plain.d_qkv);
      }
    }
  }
}

TEST_P(AttentionAtEveryLevel, OfScoresThatDifferByHundredsIsTheValueOfTheLargest) {
  Problem p(40, 2, 0.0f);
  std::fill(p.qkv.begin(), p.qkv.end(), 0.0f);
  for (int s = 0; s < p.S; ++s) {
    p.qkv[s * 6] = 30.0f;
    p.qkv[s * 6 + 2] = s == 33 ? 30.0f : -static_cast<float>(s);  // scores: 636 for row 33, 0 and less for the others
    p.qkv[s * 6 + 4] = static_cast<float>(s);
  }
  std::vector<float> out, log_sums;
  forward(p, out, log_sums);
  for (int s = 0; s < p.S; ++s) EXPECT_FLOAT_EQ(out[s * 2], 33.0f);
}

TEST_P(AttentionAtEveryLevel, NotANumberStaysOne) {
  Problem p(20, 3, 0.0f);
  p.qkv[(7 * 3 + 1) * 3] = kUnwritten;  // a key: every query sees it
  std::vector<float> out, log_sums;
  forward(p, out, log_sums);
  for (const float value : out) EXPECT_TRUE(std::isnan(value));
}

#if defined(__x86_64__)
// A processor needs many times as long for such numbers. One that an instruction has read stays noted in MXCSR.
TEST_P(AttentionAtEveryLevel, ReadsNoDenormalsThatOtherOpsHaveLeftInItsScratch) {
  constexpr unsigned kFlags = 0x3F, kDenormal = 2;
  found_in_scratch = std::numeric_limits<float>::denorm_min() * 1000;
  for (const int S : {1, 5, 14, 40}) {
    const Problem p(S, 32, 0.1f);
    std::vector<float> out, log_sums;
    const auto read_denormals = [](const auto& run) {
      _mm_setcsr(_mm_getcsr() & ~kFlags);
      run();
      return (_mm_getcsr() & kDenormal) != 0;
    };
    EXPECT_FALSE(read_denormals([&] { forward(p, out, log_sums); })) << "forward, S " << S;
    EXPECT_FALSE(read_denormals([&] { backward(p, out, log_sums); })) << "backward, S " << S;
  }
}
#endif

// Where operands and probabilities are rounded, to bfloat16 or to whole numbers of 16 bits.
class RoundedAttention : public AttentionAtEveryLevel {
 protected:
  std::vector<float> rounded(const Problem& p) {
    std::vector<float> out(p.S * p.D, kUnwritten);
    kernels.rounded_attention_head({.q = p.qkv.data(),
                                    .k = p.qkv.data() + p.D,
                                    .v = p.qkv.data() + int64_t{2} * p.D,
                                    .ld = int64_t{3} * p.D,
                                    .out = out.data(),
                                    .ld_out = p.D,
                                    .log_sums = nullptr,
                                    .ld_log_sums = 0,
                                    .S = p.S,
                                    .D = p.D,
                                    .scale = p.scale(),
                                    .dropout = {},
                                    .first_block = 0,
                                    .scratch = scratch(kernels.rounded_attention_scratch(p.S, p.D))});
    return out;
  }
};

TEST_P(RoundedAttention, ServesTextsThatAreLongEnough) {
  const int tokens = kernels.rounded_attention_tokens;
  for (const int S : {tokens - 1, tokens}) {
    Problem p(S, 32, 0.0f);
    ThreadPool pool(1);
    State state;
    state.kernels = &kernels;
    state.pool = &pool;
    const int32_t offsets[] = {0, S};
    std::vector<float> exact, log_sums;
    forward(p, exact, log_sums);
    EXPECT_NE(exact, rounded(p));
    for (const DataType type : {DataType::kFloat32, DataType::kBfloat16, DataType::kInt8, DataType::kInt16}) {
      std::vector<float> out(S * p.D, kUnwritten);
      attention(
          &state,
          {.qkv = p.qkv.data(), .offsets = offsets, .out = out.data(), .B = 1, .T = S, .C = p.D, .H = 1, .type = type});
      const bool rounds = type == DataType::kInt8 ? kernels.rounded_attention_in_int8 : type != DataType::kFloat32;
      EXPECT_EQ(out, rounds && S >= tokens ? rounded(p) : exact) << "S " << S << ", type " << static_cast<int>(type);
    }
  }
}

// Of n values below 1/2, what rounding takes from one of them at most: half of the last place of a bfloat16, or of
// whole numbers, of which 32767 stand for the norm, rounded up by 1/16 at most.
double taken(const Kernels& kernels, int n) {
  if (std::string(kernels.name) == "amx") return 0.5 * std::ldexp(1.0, -9);
  return 17.0 / 16 * 0.5 * std::sqrt(static_cast<double>(n)) / (2 * 32767);
}

TEST_P(RoundedAttention, IsNearTheFormula) {
  for (const auto& [S, D] : {std::pair{1, 1}, {7, 20}, {32, 32}, {33, 64}, {65, 128}, {150, 24}, {260, 70}}) {
    Problem p(S, D, 0.0f);
    for (float& value : p.qkv) value /= 4;
    const Reference<double> exact(p);
    const std::vector<float> out = rounded(p);
    // Of a score, a sum of D products over sqrt(D), and of weights that are not far from one another.
    const double of_scores = std::sqrt(static_cast<double>(D)) * taken(kernels, D), of_weights = 2 * taken(kernels, S);
    const double tolerance = taken(kernels, S) + of_weights + of_scores;
    for (int i = 0; i < S * D; ++i) EXPECT_NEAR(out[i], exact.out[i], tolerance) << "S " << S << ", D " << D;
  }
}

TEST_P(RoundedAttention, OfScoresThatDifferByHundredsIsTheValueOfTheLargest) {
  Problem p(70, 2, 0.0f);
  std::fill(p.qkv.begin(), p.qkv.end(), 0.0f);
  for (int s = 0; s < p.S; ++s) {
    p.qkv[s * 6] = 30.0f;
    p.qkv[s * 6 + 2] = s == 33 ? 30.0f : -static_cast<float>(s);
    p.qkv[s * 6 + 4] = static_cast<float>(s);
  }
  const std::vector<float> out = rounded(p);
  for (int s = 0; s < p.S; ++s) EXPECT_NEAR(out[s * 2], 33.0f, 0.05f);
}

// The sums of whole numbers are as large as they can be. Or one key has nearly all the weight, and what the others
// have, 0.8% of it together, vanishes.
TEST_P(RoundedAttention, OfEqualValuesIsTheirValue) {
  for (const int S : {1, 64, 500}) {
    for (const float largest : {0.0f, 11.08f}) {
      Problem p(S, 1, 0.0f);
      for (int s = 0; s < S; ++s) {
        p.qkv[s * 3] = 4.0f;
        p.qkv[s * 3 + 1] = s == S / 2 ? largest / 4 : 0.0f;
        p.qkv[s * 3 + 2] = -1.5f;
      }
      for (const float value : rounded(p)) EXPECT_NEAR(value, -1.5f, 0.003f) << "S " << S << ", score " << largest;
    }
  }
}

TEST_P(RoundedAttention, NotANumberStaysOneAndAnInfiniteValueIsSeen) {
  const auto expect_seen = [&](float value, int part) {
    Problem p(70, 3, 0.0f);
    p.qkv[(7 * 3 + part) * p.D] = value;
    const std::vector<float> out = rounded(p);
    for (int s = 0; s < p.S; ++s) {
      const bool sees = part > 0 || s == 7;  // a query is its own row's alone, a value its own column's
      EXPECT_EQ(std::isfinite(out[s * p.D]), !sees) << part << ", row " << s;
      if (part == 2) EXPECT_TRUE(std::isfinite(out[s * p.D + 1])) << "row " << s;
    }
  };
  for (const int part : {0, 1, 2}) expect_seen(kUnwritten, part);
  expect_seen(std::numeric_limits<float>::infinity(), 2);
}

#if defined(__x86_64__)
TEST_P(RoundedAttention, ReadsNoDenormalsThatOtherOpsHaveLeftInItsScratch) {
  constexpr unsigned kFlags = 0x3F, kDenormal = 2;
  found_in_scratch = std::numeric_limits<float>::denorm_min() * 1000;
  for (const int S : {1, 5, 14, 40, 200}) {
    const Problem p(S, 32, 0.0f);
    _mm_setcsr(_mm_getcsr() & ~kFlags);
    rounded(p);
    EXPECT_EQ(_mm_getcsr() & kDenormal, 0U) << "S " << S;
  }
}
#endif

std::vector<const Kernels*> every_level() {
  std::vector<const Kernels*> levels = usable_kernels();
  levels.push_back(wide_kernels());
  return levels;
}

INSTANTIATE_TEST_SUITE_P(Kernels, AttentionAtEveryLevel, testing::ValuesIn(every_level()),
                         [](const auto& level) { return std::string(level.param->name); });

std::vector<const Kernels*> levels_that_round() {
  std::vector<const Kernels*> levels = usable_kernels();
  std::erase_if(levels, [](const Kernels* kernels) { return kernels->rounded_attention_head == nullptr; });
  return levels;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RoundedAttention);
INSTANTIATE_TEST_SUITE_P(Kernels, RoundedAttention, testing::ValuesIn(levels_that_round()),
                         [](const auto& level) { return std::string(level.param->name); });

}  // namespace
}  // namespace fles::cpu
