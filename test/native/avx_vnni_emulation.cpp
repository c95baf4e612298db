// VPDPBUSD and VPDPWSSD with a VEX prefix, the two instructions that the level avx_vnni has and AVX2 lacks.
#if defined(__x86_64__) && defined(__linux__)
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <random>

#include "cpu/levels.h"
#include "emulated_instructions.h"

namespace fles::cpu {
namespace {

typedef std::array<uint8_t, 32> Bytes;

// The registers of AVX: their lower halves are a component of their own.
class Registers {
 public:
  explicit Registers(const ucontext_t& context)
      : low_(saved_component(context, 1)), high_(saved_component(context, 2)) {}
  Bytes read(int number) const {
    Bytes bytes;
    std::memcpy(bytes.data(), low_ + 16 * number, 16);
    std::memcpy(bytes.data() + 16, high_ + 16 * number, 16);
    return bytes;
  }
  void write(int number, const Bytes& bytes) {
    std::memcpy(low_ + 16 * number, bytes.data(), 16);
    std::memcpy(high_ + 16 * number, bytes.data() + 16, 16);
  }

 private:
  uint8_t *low_, *high_;
};

// Every lane of four bytes: sum + a0 b0 + a1 b1 + a2 b2 + a3 b3, a without and b with a sign, modulo 2^32.
void add_products(Bytes& sums, const Bytes& a, const Bytes& b) {
  for (int i = 0; i < 32; i += 4) {
    uint32_t sum = 0;
    std::memcpy(&sum, &sums[i], 4);
    for (int j = i; j < i + 4; ++j) sum += static_cast<uint32_t>(int{a[j]} * static_cast<int8_t>(b[j]));
    std::memcpy(&sums[i], &sum, 4);
  }
}

// Every lane: sum + a0 b0 + a1 b1 of 16 bits with a sign, modulo 2^32.
void add_pairs(Bytes& sums, const Bytes& a, const Bytes& b) {
  for (int i = 0; i < 32; i += 4) {
    uint32_t sum = 0;
    std::array<int16_t, 2> x{}, y{};
    std::memcpy(&sum, &sums[i], 4);
    std::memcpy(x.data(), &a[i], 4);
    std::memcpy(y.data(), &b[i], 4);
    for (int j = 0; j < 2; ++j) sum += static_cast<uint32_t>(int{x[j]} * int{y[j]});
    std::memcpy(&sums[i], &sum, 4);
  }
}

// Every way in which compiled code names the operands.
__attribute__((target("avx2"))) void run(const bool pairs, int way, Bytes& sums, const Bytes& a, const Bytes& b) {
  const int64_t index = 4;
  const uint8_t *begin = b.data(), *far = b.data() - 1024, *before = b.data() - 32;
#define FLES_RUN(instruction, encoding, load, operand)                                                               \
  __asm__ volatile("vmovdqu (%0), %%ymm3\n vmovdqu (%1), %%ymm12\n " load "\n %{" encoding "%} " instruction operand \
                   ", %%ymm12, %%ymm3\n vmovdqu %%ymm3, (%0)"                                                        \
                   :                                                                                                 \
                   : "r"(sums.data()), "r"(a.data()), "r"(begin), "r"(far), "r"(before), "r"(index)                  \
                   : "xmm3", "xmm12", "xmm14", "memory")
#define FLES_VNNI(encoding, load, operand)          \
  if (pairs)                                        \
    FLES_RUN("vpdpwssd ", encoding, load, operand); \
  else                                              \
    FLES_RUN("vpdpbusd ", encoding, load, operand)
  switch (way) {
    case 0:
      FLES_VNNI("vex", "vmovdqu (%2), %%ymm14", "%%ymm14");
      break;
    case 1:
      FLES_VNNI("vex", "", "(%2)");
      break;
    case 2:
      FLES_VNNI("vex", "", "1024(%3)");
      break;
    case 3:
      FLES_VNNI("vex", "", "(%4,%5,8)");
      break;
    case 4:
      FLES_VNNI("vex", "", "-32(%2,%5,8)");
      break;
    case 5:
      FLES_VNNI("vex", "", "992(%3,%5,8)");
      break;
    default:  // the same instruction of AVX-512
      FLES_VNNI("evex", "vmovdqu (%2), %%ymm14", "%%ymm14");
      break;
  }
#undef FLES_VNNI
#undef FLES_RUN
}

TEST(AvxVnni, EmulatedOrNotTheInstructionsAddProducts) {
  if (!has_feature("avxvnni")) GTEST_SKIP() << "this processor has no AVX2";
  const int ways = has_feature("avx512vnni") && has_feature("avx512vl") ? 7 : 6;
  std::mt19937 random(7);
  std::array<Bytes, 3> operands;
  for (const bool pairs : {false, true}) {
    const auto add = pairs ? add_pairs : add_products;
    for (int way = 0; way < 10 * ways; ++way) {
      for (Bytes& bytes : operands) std::generate(bytes.begin(), bytes.end(), [&random] { return random() & 255; });
      if (way < ways) operands[1].fill(255), operands[2].fill(128);  // the largest sum of bytes
      Bytes expected = operands[0], actual = operands[0];
      add(expected, operands[1], operands[2]);
      run(pairs, way % ways, actual, operands[1], operands[2]);
      EXPECT_EQ(actual, expected) << (pairs ? "pairs" : "bytes") << ", way " << way % ways;
    }
  }
}

TEST(AvxVnni, IsAmongTheLevelsThatAreTested) {
  EXPECT_EQ(is_usable("avx_vnni"), avx_vnni_kernels() != nullptr && is_usable("avx2"));
}

}  // namespace

// VEX.{128,256}.66.0F38.W0 50 /r and 52 /r (Intel's manual, volume 2, VPDPBUSD and VPDPWSSD).
bool execute_avx_vnni(const Instruction& instruction, const ucontext_t& context) {
  const bool pairs = instruction.opcode == 0x52;
  if (instruction.prefix != Instruction::k66 || (instruction.opcode != 0x50 && !pairs)) return false;
  Registers registers(context);
  Bytes sums = registers.read(instruction.reg), right{};
  if (instruction.rm >= 0)
    right = registers.read(instruction.rm);
  else
    std::memcpy(right.data(), instruction.address(), instruction.wide ? 32 : 16);
  (pairs ? add_pairs : add_products)(sums, registers.read(instruction.vex), right);
  if (!instruction.wide) std::fill(sums.begin() + 16, sums.end(), uint8_t{0});
  registers.write(instruction.reg, sums);
  return true;
}

}  // namespace fles::cpu
#endif
