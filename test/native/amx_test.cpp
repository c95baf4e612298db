// The instructions with which the level amx multiplies, executed by the processor or by amx_emulation.cpp, against
// plain loops.
#if defined(__x86_64__) && defined(__linux__)
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <random>

#include "cpu/levels.h"
#include "emulated_instructions.h"

namespace fles::cpu {
namespace {

typedef std::array<std::array<uint32_t, 16>, 16> Tile;  // a lane is four bytes, two bfloat16 or a sum

// In lanes: sums are [rows][columns], `left` is [rows][count] and `right` [count][columns].
struct Shape {
  int rows, columns, count;
};
constexpr Shape kShapes[] = {{16, 16, 16}, {3, 5, 7}, {1, 16, 2}, {13, 1, 16}};

struct alignas(64) Configuration {
  explicit Configuration(const Shape& shape) {
    const auto set = [this](int tile, int row_count, int lanes) {
      rows[tile] = static_cast<uint8_t>(row_count);
      row_bytes[tile] = static_cast<uint16_t>(4 * lanes);
    };
    set(0, shape.rows, shape.columns);
    set(3, shape.rows, shape.columns);
    set(5, shape.rows, shape.count);
    set(7, shape.count, shape.columns);
  }
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

// sums += left * right, products = left * right; operands in memory are named in several ways.
void run(bool integers, const Shape& shape, Tile& sums, Tile& products, const Tile& left, const Tile& right) {
  const Configuration configuration(shape);
  const int64_t stride = 64, half = 32;
#define FLES_MULTIPLY(instruction)                                                                                    \
  __asm__ volatile(                                                                                                   \
      "ldtilecfg %0\n tileloadd (%1,%5,1), %%tmm0\n tileloadd -64(%3,%5,1), %%tmm5\n"                                 \
      "tileloadd 1024(%4,%6,2), %%tmm7\n tilezero %%tmm3\n" instruction " %%tmm7, %%tmm5, %%tmm0\n" instruction       \
      " %%tmm7, %%tmm5, %%tmm3\n tilestored %%tmm0, (%1,%5,1)\n tilestored %%tmm3, (%2,%6,2)\n tilerelease"           \
      :                                                                                                               \
      : "m"(configuration), "r"(&sums), "r"(&products), "r"(&left[1]), "r"(right.data() - 16), "r"(stride), "r"(half) \
      : "memory")
  if (integers)
    FLES_MULTIPLY("tdpbssd");
  else
    FLES_MULTIPLY("tdpbf16ps");
#undef FLES_MULTIPLY
}

float without_denormal(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0F, x) : x; }
float half_of(uint32_t lane, int half) {
  return without_denormal(std::bit_cast<float>(half == 0 ? lane << 16 : lane & 0xFFFF0000U));
}
uint32_t bits_of(float x) { return std::isnan(x) ? 0x7FC00000U : std::bit_cast<uint32_t>(x); }

// Of lower and of upper halves apart: float32 with each sum rounded to nearest even, a denormal as zero.
uint32_t add_bfloat16(uint32_t sum, const Tile& left, const Tile& right, int i, int j, int count) {
  std::array<float, 2> sums = {};
  for (int k = 0; k < count; ++k) {
    for (int half = 0; half < 2; ++half) {
      const float a = half_of(left[i][k], half), b = half_of(right[k][j], half);
      sums[half] = without_denormal(std::fma(a, b, sums[half]));
    }
  }
  const float added = without_denormal(sums[0] + sums[1]);
  return bits_of(without_denormal(without_denormal(std::bit_cast<float>(sum)) + added));
}

// Of bytes with signs, modulo 2^32.
uint32_t add_int8(uint32_t sum, const Tile& left, const Tile& right, int i, int j, int count) {
  for (int k = 0; k < count; ++k) {
    for (int shift = 0; shift < 32; shift += 8) {
      const auto a = static_cast<int8_t>(left[i][k] >> shift), b = static_cast<int8_t>(right[k][j] >> shift);
      sum += static_cast<uint32_t>(a * b);
    }
  }
  return sum;
}

template <class Fill>
void expect_as_by_a_loop(bool integers, Fill&& fill) {
  for (const Shape& shape : kShapes) {
    Tile sums, products, left, right;
    fill(sums, left, right);
    for (auto& row : products) row.fill(7);
    const Tile before = sums, other = products;
    run(integers, shape, sums, products, left, right);
    const auto expected = [&](uint32_t sum, int i, int j) {
      return (integers ? add_int8 : add_bfloat16)(sum, left, right, i, j, shape.count);
    };
    const auto actual = [integers](uint32_t sum) { return integers ? sum : bits_of(std::bit_cast<float>(sum)); };
    for (int i = 0; i < 16; ++i) {
      for (int j = 0; j < 16; ++j) {
        const bool inside = i < shape.rows && j < shape.columns;
        ASSERT_EQ(actual(sums[i][j]), inside ? expected(before[i][j], i, j) : actual(before[i][j])) << i << ' ' << j;
        ASSERT_EQ(actual(products[i][j]), inside ? expected(0, i, j) : other[i][j]) << i << ' ' << j;
      }
    }
  }
}

template <class Draw>
void fill(Tile& tile, Draw&& draw) {
  for (auto& row : tile) std::generate(row.begin(), row.end(), draw);
}

TEST(Amx, EmulatedOrNotBfloat16IsMultipliedAsByALoop) {
  if (!has_feature("amxbf16")) GTEST_SKIP() << "this processor has no AVX-512";
  std::mt19937 random(7);
  // Exponents of left and right: products of middling size, about the smallest normal, of denormals, that overflow.
  constexpr int kExponents[][2] = {{120, 120}, {56, 56}, {0, 230}, {190, 190}};
  for (const auto& [of_left, of_right] : kExponents) {
    const auto draw = [&random](int exponent) {
      const uint32_t around = std::clamp(exponent, 0, 239) + random() % 16;
      return (random() & 0x807FFFFFU) | around << 23;
    };
    const auto draw_pair = [&draw](int exponent) { return draw(exponent) >> 16 | (draw(exponent) & 0xFFFF0000U); };
    expect_as_by_a_loop(false, [&](Tile& sums, Tile& left, Tile& right) {
      fill(sums, [&] { return draw(of_left + of_right - 119); });
      fill(left, [&] { return draw_pair(of_left); });
      fill(right, [&] { return draw_pair(of_right); });
    });
  }
  expect_as_by_a_loop(false, [&](auto&... tiles) { (fill(tiles, random), ...); });  // infinite ones and NaN too
}

TEST(Amx, EmulatedOrNotInt8IsMultipliedAsByALoop) {
  if (!has_feature("amxint8")) GTEST_SKIP() << "this processor has no AVX-512";
  std::mt19937 random(7);
  expect_as_by_a_loop(true, [&](auto&... tiles) { (fill(tiles, random), ...); });
  for (const uint32_t right_lanes : {0x80808080U, 0x7F7F7F7FU}) {  // the largest sums, which overflow
    expect_as_by_a_loop(true, [&](Tile& sums, Tile& left, Tile& right) {
      fill(sums, [] { return 0x7FFFFFFFU; });
      fill(left, [] { return 0x80808080U; });
      fill(right, [&] { return right_lanes; });
    });
  }
}

TEST(Amx, IsAmongTheLevelsThatAreTested) {
  EXPECT_EQ(is_usable("amx"), amx_kernels() != nullptr && is_usable("avx512_bf16"));
}

}  // namespace
}  // namespace fles::cpu
#endif
