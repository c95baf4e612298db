// The inner loops of every level this machine runs, and of the 64-byte code, against plain double loops on odd sizes.
// Buffers have exactly the size that is promised, so that AddressSanitizer sees a step too far.
#include "cpu/kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "comparison.h"
#include "cpu/levels.h"
#include "ops/linear.h"

namespace fles::cpu {
const Kernels* wide_kernels();

namespace {

std::mt19937 random_source(20240607);

std::vector<float> random_floats(int64_t count, float low = -2.0f, float high = 2.0f) {
  std::vector<float> values(count);
  std::uniform_real_distribution<float> uniform(low, high);
  for (float& value : values) value = uniform(random_source);
  return values;
}

template <class Real>
Real activation(Real x, Activation kind) {
  switch (kind) {
    case Activation::kGelu:
      return x / 2 * (1 + std::erf(x / std::sqrt(Real{2})));
    case Activation::kGeluNew:
      return x / 2 * (1 + std::tanh(std::sqrt(Real{2} / Real{M_PI}) * (x + Real{0.044715} * x * x * x)));
    case Activation::kRelu:
      return std::max(x, Real{0});
    case Activation::kNone:
      break;
  }
  return x;
}

struct Problem {
  int T, N, K;
  std::vector<float> in, weight, bias, residual;
  Problem(int rows, int columns, int depth)
      : T(rows),
        N(columns),
        K(depth),
        in(random_floats(int64_t{rows} * depth)),
        weight(random_floats(int64_t{columns} * depth)),
        bias(random_floats(columns)),
        residual(random_floats(int64_t{rows} * columns)) {}
};

template <class Real>
std::vector<Real> products(const Problem& p, bool with_bias) {
  std::vector<Real> z(int64_t{p.T} * p.N);
  for (int t = 0; t < p.T; ++t) {
    for (int n = 0; n < p.N; ++n) {
      Real sum = 0;
      for (int k = 0; k < p.K; ++k) sum += Real{p.in[t * p.K + k]} * Real{p.weight[n * p.K + k]};
      z[t * p.N + n] = sum + (with_bias ? Real{p.bias[n]} : Real{0});
    }
  }
  return z;
}

template <class Real>
std::vector<Real> linear_reference(const Problem& p, Activation kind, bool with_bias, bool with_residual) {
  std::vector<Real> out = products<Real>(p, with_bias);
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = activation(out[i], kind) + (with_residual ? Real{p.residual[i]} : Real{0});
  }
  return out;
}

std::vector<const Kernels*> every_level() {
  std::vector<const Kernels*> levels = usable_kernels();
  levels.push_back(wide_kernels());
  return levels;
}

// A level and its products of float32, of which it may have two kinds.
struct Level {
  std::string name;
  const Kernels* kernels;
  const ProductKernels* products;
};

std::vector<Level> every_kind() {
  std::vector<Level> kinds;
  for (const Kernels* kernels : every_level()) {
    kinds.push_back({kernels->name, kernels, &kernels->products[static_cast<int>(DataType::kFloat32)]});
    if (kernels->split.MR > 0) kinds.push_back({std::string(kernels->name) + "_split", kernels, &kernels->split});
  }
  return kinds;
}

class EveryLevel : public testing::TestWithParam<Level> {
 protected:
  const Kernels& kernels = *GetParam().kernels;
  const ProductKernels& products_of = *GetParam().products;

  std::vector<float> pack_weight(const std::vector<float>& weight, int N, int K) const {
    std::vector<float> packed(panels(N) * panel(K), 0.0f);
    // In two parts, the second first: rows may come in any order.
    const int half = N / 2;
    products_of.pack_weight(weight.data() + int64_t{half} * K, N - half, half, K, packed.data());
    products_of.pack_weight(weight.data(), half, 0, K, packed.data());
    return packed;
  }
  std::vector<float> pack_input(const std::vector<float>& in, int T, int K) const {
    const int MR = products_of.MR;
    std::vector<float> packed((T + MR - 1) / MR * block(K), std::numeric_limits<float>::quiet_NaN());
    for (int first = 0; first < T; first += MR) {
      products_of.pack_block(in.data() + int64_t{first} * K, std::min(MR, T - first), K, K,
                             packed.data() + first / MR * block(K));
    }
    return packed;
  }
  int panels(int N) const { return (N + kernels.NR - 1) / kernels.NR; }
  // Floats that a panel, a block, and the scratch of `count` panels take.
  int64_t panel(int K) const { return products_of.panel_bytes(K) / static_cast<int64_t>(sizeof(float)); }
  int64_t block(int K) const { return products_of.block_bytes(K) / static_cast<int64_t>(sizeof(float)); }
  std::vector<float> scratch(int count, int K) const {
    return std::vector<float>(count * products_of.scratch_bytes(K) / sizeof(float));
  }

  std::vector<float> linear(const Problem& p, Activation kind, bool with_bias, bool with_residual) const {
    const std::vector<float> weight = pack_weight(p.weight, p.N, p.K);
    const std::vector<float> blocks = pack_input(p.in, p.T, p.K);
    std::vector<float> out(int64_t{p.T} * p.N, std::numeric_limits<float>::quiet_NaN());
    std::vector<float> split = scratch(1, p.K);
    for (int i = 0; i < panels(p.N); ++i) {
      const int column = i * kernels.NR;
      products_of.linear_panels({.blocks = blocks.data(),
                                 .panels = weight.data() + i * panel(p.K),
                                 .rows = p.T,
                                 .columns = std::min(kernels.NR, p.N - column),
                                 .K = p.K,
                                 .bias = with_bias ? p.bias.data() + column : nullptr,
                                 .residual = with_residual ? p.residual.data() + column : nullptr,
                                 .out = out.data() + column,
                                 .ld = p.N,
                                 .activation = static_cast<int>(kind),
                                 .scratch = split.data()});
    }
    return out;
  }
};

TEST_P(EveryLevel, LinearIsTheProductOfTheMatrices) {
  for (const int K : {1, 3, 17, 130}) {
    Comparison comparison;
    for (const int T : {1, 5, 6, 7, 14, 29, 40}) {
      for (const int N : {1, 7, 8, 31, 33, 70}) {
        const Problem p(T, N, K);
        const bool with_bias = K % 2 == 1, with_residual = N % 2 == 1;
        comparison.add(shape({{"T", T}, {"N", N}, {"K", K}}), linear(p, Activation::kNone, with_bias, with_residual),
                       linear_reference<double>(p, Activation::kNone, with_bias, with_residual),
                       linear_reference<float>(p, Activation::kNone, with_bias, with_residual));
      }
    }
  }
}

TEST_P(EveryLevel, PackedColumnsAndPanelsMultiplyTheTransposeOfAMatrix) {
  const int MR = products_of.MR, NR = kernels.NR;
  for (const int R : {1, 4, 7, 30}) {
    Comparison comparison;
    for (const auto& [T, N] : {std::pair{1, 1}, {MR, NR}, {MR - 1, NR - 3}}) {
      // (R, T) and (R, N) stand in wider matrices, whose last row ends with them.
      const int64_t ld_a = T + 3, ld_b = N + 5;
      const std::vector<float> a = random_floats((R - 1) * ld_a + T), b = random_floats((R - 1) * ld_b + N);
      std::vector<float> packed_a(block(R), std::numeric_limits<float>::quiet_NaN());
      std::vector<float> packed_b(panel(R), std::numeric_limits<float>::quiet_NaN());
      std::vector<float> split = scratch(1, R);
      products_of.pack_columns(a.data(), R, ld_a, T, packed_a.data());
      products_of.pack_panel(b.data(), R, ld_b, N, packed_b.data());
      std::vector<float> out(int64_t{T} * N);
      products_of.linear_panels({.blocks = packed_a.data(),
                                 .panels = packed_b.data(),
                                 .rows = T,
                                 .columns = N,
                                 .K = R,
                                 .bias = nullptr,
                                 .residual = nullptr,
                                 .out = out.data(),
                                 .ld = N,
                                 .activation = static_cast<int>(Activation::kNone),
                                 .scratch = split.data()});
      Problem p(T, N, R);
      for (int r = 0; r < R; ++r) {
        for (int t = 0; t < T; ++t) p.in[t * R + r] = a[r * ld_a + t];
        for (int n = 0; n < N; ++n) p.weight[n * R + r] = b[r * ld_b + n];
      }
      comparison.add(shape({{"R", R}, {"T", T}, {"N", N}}), out, products<double>(p, false), products<float>(p, false));
    }
  }
}

TEST_P(EveryLevel, LinearAppliesTheActivationBeforeTheResidual) {
  const Problem p(15, 37, 19);
  for (const Activation kind : {Activation::kGelu, Activation::kGeluNew, Activation::kRelu}) {
    SCOPED_TRACE(static_cast<int>(kind));
    expect_close(linear(p, kind, true, true), linear_reference<double>(p, kind, true, true),
                 linear_reference<float>(p, kind, true, true));
  }
}

TEST_P(EveryLevel, ARowDoesNotDependOnTheRowsBesideIt) {
  const Problem p(31, 45, 23);
  const std::vector<float> together = linear(p, Activation::kGelu, true, true);
  for (int t = 0; t < p.T; ++t) {
    Problem alone(1, p.N, p.K);
    alone.weight = p.weight, alone.bias = p.bias;
    alone.in.assign(p.in.begin() + t * p.K, p.in.begin() + (t + 1) * p.K);
    alone.residual.assign(p.residual.begin() + t * p.N, p.residual.begin() + (t + 1) * p.N);
    const std::vector<float> row = linear(alone, Activation::kGelu, true, true);
    EXPECT_TRUE(std::equal(row.begin(), row.end(), together.begin() + t * p.N)) << "row " << t;
  }
}

TEST_P(EveryLevel, ActivationsAreExactFromZeroToWhereTheyAreFlat) {
  // One column of ones: the input is the argument. Beyond 14 in size the functions are 0 or x in float32.
  Problem p(2001, 1, 1);
  p.weight = {1.0f};
  for (int t = 0; t < p.T; ++t) p.in[t] = static_cast<float>(t - 1000) / 50.0f;
  for (const Activation kind : {Activation::kGelu, Activation::kGeluNew}) {
    const std::vector<float> actual = linear(p, kind, false, false);
    for (int t = 0; t < p.T; ++t) {
      const double x = p.in[t];
      // The share of the normal distribution is within 2.2e-7 in float32; the factor is x.
      const double tolerance = 2.2e-7 * std::max(std::abs(x), 1e-3);
      EXPECT_NEAR(actual[t], activation(x, kind), tolerance) << "x " << x << " activation " << static_cast<int>(kind);
    }
  }
}

TEST_P(EveryLevel, HeadPoolsTheProductsOfEachText) {
  for (const int V : {1, 9, 32, 75}) {
    for (const int K : {1, 22}) {
      // Texts of 3, 0, 1, 20 and 0 rows.
      const std::vector<int> lengths = {3, 0, 1, 20, 0};
      const int B = static_cast<int>(lengths.size());
      std::vector<int32_t> row_text;
      for (int b = 0; b < B; ++b) row_text.insert(row_text.end(), lengths[b], b);
      const int T = static_cast<int>(row_text.size());
      Problem p(T, V, K);
      // Rows 5 and 11 of text 3 are the same, so that every one of their maxima is a tie.
      std::copy_n(p.in.begin() + 5 * K, K, p.in.begin() + 11 * K);
      const std::vector<double> z = products<double>(p, true);
      const std::vector<float> plain_z = products<float>(p, true);
      const std::vector<float> weight = pack_weight(p.weight, V, K);
      const std::vector<float> blocks = pack_input(p.in, T, K);
      std::vector<float> split = scratch(2, K);

      for (const bool sum : {false, true}) {
        SCOPED_TRACE(testing::Message() << "V " << V << ", K " << K << (sum ? ", sum" : ", max"));
        std::vector<float> pooled(int64_t{B} * V, 7.0f), without(int64_t{B} * V, 7.0f);
        std::vector<int32_t> argmax(int64_t{B} * V, 7);
        std::vector<float> best(int64_t{B} * panels(V) * kernels.NR);
        std::vector<int32_t> best_row(int64_t{B} * panels(V) * kernels.NR);
        const auto run = [&](std::vector<float>& out, bool with_argmax) {
          products_of.head_panels({.blocks = blocks.data(),
                                   .panels = weight.data(),
                                   .rows = T,
                                   .columns = V,
                                   .K = K,
                                   .rows_at_once = products_of.MR,
                                   .columns_at_once = 2 * kernels.NR,
                                   .bias = p.bias.data(),
                                   .row_text = row_text.data(),
                                   .texts = B,
                                   .pooling = sum ? 1 : 0,
                                   .best = best.data(),
                                   .best_row = with_argmax ? best_row.data() : nullptr,
                                   .pooled = out.data(),
                                   .argmax = with_argmax ? argmax.data() : nullptr,
                                   .ld = V,
                                   .row_norms = nullptr,
                                   .scratch = split.data()});
        };
        run(pooled, !sum);
        run(without, false);
        EXPECT_EQ(pooled, without) << "argmax changes nothing";

        std::vector<float> seen, plain;
        std::vector<double> exact;
        for (int b = 0; b < B; ++b) {
          for (int v = 0; v < V; ++v) {
            double pooled_exact = sum ? 0 : -std::numeric_limits<double>::infinity();
            float pooled_plain = sum ? 0 : -std::numeric_limits<float>::infinity();
            for (int t = 0; t < T; ++t) {
              if (row_text[t] != b) continue;
              const double value = z[t * V + v];
              const float plain_value = plain_z[t * V + v];
              pooled_exact = sum ? pooled_exact + std::log1p(std::max(value, 0.0)) : std::max(pooled_exact, value);
              pooled_plain =
                  sum ? pooled_plain + std::log1p(std::max(plain_value, 0.0f)) : std::max(pooled_plain, plain_value);
            }
            if (lengths[b] == 0) {
              EXPECT_EQ(pooled[b * V + v], pooled_plain) << "a text without rows";
              EXPECT_EQ(argmax[b * V + v], sum ? 7 : -1);
              continue;
            }
            seen.push_back(pooled[b * V + v]), exact.push_back(pooled_exact), plain.push_back(pooled_plain);
            if (sum) continue;
            const int32_t row = argmax[b * V + v];
            ASSERT_TRUE(row >= 0 && row < T && row_text[row] == b) << row;
            EXPECT_NE(row, 11) << "the lowest row wins a tie";
            EXPECT_NEAR(z[row * V + v], pooled_exact, 1e-5) << "a row that is not the largest";
          }
        }
        expect_close(seen, exact, plain);
      }
    }
  }
}

template <class Real>
std::vector<Real> layernorm_reference(const std::vector<float>& in, const std::vector<float>& gamma,
                                      const std::vector<float>& beta, Real eps) {
  const auto C = static_cast<Real>(in.size());
  Real mean = 0, variance = 0;
  for (const float x : in) mean += Real{x};
  mean /= C;
  for (const float x : in) variance += (Real{x} - mean) * (Real{x} - mean);
  std::vector<Real> out(in.size());
  for (size_t i = 0; i < in.size(); ++i) {
    out[i] = (Real{in[i]} - mean) / std::sqrt(variance / C + eps) * Real{gamma[i]} + Real{beta[i]};
  }
  return out;
}

TEST_P(EveryLevel, LayernormHasMeanZeroAndVarianceOneBeforeGammaAndBeta) {
  Comparison comparison;
  for (const int C : {1, 3, 8, 31, 32, 100, 384}) {
    const std::vector<float> in = random_floats(C), gamma = random_floats(C), beta = random_floats(C);
    std::vector<float> out(C);
    kernels.layernorm_row(in.data(), gamma.data(), beta.data(), out.data(), C, 1e-5f);
    comparison.add(shape({{"C", C}}), out, layernorm_reference<double>(in, gamma, beta, 1e-5f),
                   layernorm_reference<float>(in, gamma, beta, 1e-5f));
    std::vector<float> in_place = in;
    kernels.layernorm_row(in_place.data(), gamma.data(), beta.data(), in_place.data(), C, 1e-5f);
    EXPECT_EQ(in_place, out);
  }
}

TEST_P(EveryLevel, AddRowsAddsTwoRowsOrThree) {
  const std::vector<float> a = {1, 2, 3}, b = {10, 20, 30}, c = {100, 200, 300};
  std::vector<float> out(3);
  kernels.add_rows(a.data(), b.data(), c.data(), out.data(), 3);
  EXPECT_EQ(out, (std::vector<float>{111, 222, 333}));
  kernels.add_rows(a.data(), b.data(), nullptr, out.data(), 3);
  EXPECT_EQ(out, (std::vector<float>{11, 22, 33}));
}

INSTANTIATE_TEST_SUITE_P(Kernels, EveryLevel, testing::ValuesIn(every_kind()),
                         [](const auto& level) { return level.param.name; });

TEST(Levels, ThePortableOneIsAlwaysThere) {
  ASSERT_FALSE(usable_kernels().empty());
  EXPECT_STREQ(usable_kernels().front()->name, "portable");
}

}  // namespace
}  // namespace fles::cpu
