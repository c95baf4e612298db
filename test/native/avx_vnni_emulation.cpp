// The level avx_vnni on a processor with AVX2 but without AVX-VNNI, so that its tests run on any machine. The one
// instruction that the level has and AVX2 lacks, VPDPBUSD with a VEX prefix, is undefined there and raises SIGILL; a
// handler does what the instruction would have done and goes on behind it. The linker puts wrapped_feature_names() in
// the place of feature_names() (--wrap in CMakeLists.txt), so that the level is found.
#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "cpu/cpu_features.h"

namespace fles::cpu {

// Names that the linker gives for --wrap.
std::vector<std::string> true_feature_names() __asm__("__real__ZN4fles3cpu13feature_namesB5cxx11Ev");
std::vector<std::string> wrapped_feature_names() __asm__("__wrap__ZN4fles3cpu13feature_namesB5cxx11Ev");

namespace {

struct Instruction {
  bool wide;                 // 32 bytes, else 16
  int sums, unsigned_bytes;  // numbers of registers
  int signed_bytes = -1;     // likewise, or in memory at `address`
  const void* address = nullptr;
  int length = 0;
};

int64_t read_displacement(const uint8_t* code, int bytes) {
  if (bytes == 1) return static_cast<int8_t>(*code);
  int32_t value = 0;
  if (bytes == 4) std::memcpy(&value, code, 4);
  return value;
}

// VEX.{128,256}.66.0F38.W0 50 /r (Intel's manual, volume 2, chapters 2.1 and 2.3, and VPDPBUSD); false when the code is
// another instruction.
bool decode(const uint8_t* code, const greg_t* general, Instruction& out) {
  if (code[0] != 0xC4 || (code[1] & 0x1F) != 0x02 || (code[2] & 0x83) != 0x01 || code[3] != 0x50) return false;
  const auto extension = [code](int bit) { return (code[1] >> bit & 1) != 0 ? 0 : 8; };
  const auto value = [general](int number) {
    constexpr std::array<int, 16> kPlaces = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                             REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    return general[kPlaces[number]];
  };
  const int mode = code[4] >> 6, low = code[4] & 7;
  out.wide = (code[2] & 4) != 0;
  out.sums = (code[4] >> 3 & 7) + extension(7);
  out.unsigned_bytes = ~code[2] >> 3 & 15;
  out.length = 5;
  if (mode == 3) {
    out.signed_bytes = low + extension(5);
    return true;
  }
  int64_t address = 0;
  int displacement = mode == 1 ? 1 : mode == 2 ? 4 : 0;
  bool relative = false;
  if (low == 4) {  // base + index * scale
    const int scaled = code[out.length++];
    const int index = (scaled >> 3 & 7) + extension(6), base = scaled & 7;
    if (index != 4) address += value(index) << (scaled >> 6);
    if (mode == 0 && base == 5)
      displacement = 4;
    else
      address += value(base + extension(5));
  } else if (mode == 0 && low == 5) {
    relative = true;
    displacement = 4;
  } else {
    address += value(low + extension(5));
  }
  address += read_displacement(code + out.length, displacement);
  out.length += displacement;
  if (relative) address += reinterpret_cast<int64_t>(code) + out.length;
  out.address = reinterpret_cast<const void*>(address);
  return true;
}

// The registers of AVX as XSAVE laid them out in the signal's frame.
class Registers {
 public:
  explicit Registers(const ucontext_t& context) : low_(reinterpret_cast<uint8_t*>(context.uc_mcontext.fpregs)) {
    unsigned size = 0, offset = 0, ecx = 0, edx = 0;
    __cpuid_count(0xD, 2, size, offset, ecx, edx);
    high_ = low_ + offset;
    uint64_t& present = *reinterpret_cast<uint64_t*>(low_ + 512);
    if ((present & 4) == 0) std::memset(high_, 0, 256);
    present |= 6;
  }
  std::array<uint8_t, 32> read(int number) const {
    std::array<uint8_t, 32> bytes;
    std::memcpy(bytes.data(), low_ + 160 + 16 * number, 16);
    std::memcpy(bytes.data() + 16, high_ + 16 * number, 16);
    return bytes;
  }
  void write(int number, const std::array<uint8_t, 32>& bytes) {
    std::memcpy(low_ + 160 + 16 * number, bytes.data(), 16);
    std::memcpy(high_ + 16 * number, bytes.data() + 16, 16);
  }

 private:
  uint8_t *low_, *high_;
};

// Every lane of four bytes: sum + a0 b0 + a1 b1 + a2 b2 + a3 b3, a without and b with a sign, modulo 2^32.
void add_products(std::array<uint8_t, 32>& sums, const std::array<uint8_t, 32>& a, const std::array<uint8_t, 32>& b) {
  for (int i = 0; i < 32; i += 4) {
    uint32_t sum = 0;
    std::memcpy(&sum, &sums[i], 4);
    for (int j = i; j < i + 4; ++j) sum += static_cast<uint32_t>(int{a[j]} * static_cast<int8_t>(b[j]));
    std::memcpy(&sums[i], &sum, 4);
  }
}

void on_undefined_instruction(int number, siginfo_t*, void* argument) {
  ucontext_t& context = *static_cast<ucontext_t*>(argument);
  greg_t* general = context.uc_mcontext.gregs;
  Instruction instruction;
  if (!decode(reinterpret_cast<const uint8_t*>(general[REG_RIP]), general, instruction)) {
    signal(number, SIG_DFL);  // it is raised again, and ends the program
    return;
  }
  Registers registers(context);
  std::array<uint8_t, 32> sums = registers.read(instruction.sums), signed_bytes{};
  if (instruction.address == nullptr)
    signed_bytes = registers.read(instruction.signed_bytes);
  else
    std::memcpy(signed_bytes.data(), instruction.address, instruction.wide ? 32 : 16);
  add_products(sums, registers.read(instruction.unsigned_bytes), signed_bytes);
  if (!instruction.wide) std::fill(sums.begin() + 16, sums.end(), uint8_t{0});
  registers.write(instruction.sums, sums);
  general[REG_RIP] += instruction.length;
}

// Whether the level's instructions can be run, by the processor or by the handler.
bool can_run() {
  static const bool can = [] {
    const std::vector<std::string> names = true_feature_names();
    const auto has = [&names](const char* name) { return std::find(names.begin(), names.end(), name) != names.end(); };
    if (has("avxvnni")) return true;
    if (!has("avx2")) return false;
    struct sigaction action{};
    action.sa_sigaction = on_undefined_instruction;
    action.sa_flags = SA_SIGINFO;
    return sigaction(SIGILL, &action, nullptr) == 0;
  }();
  return can;
}

typedef std::array<uint8_t, 32> Bytes;

// Every way in which compiled code names the operands.
__attribute__((target("avx2"))) void run_vpdpbusd(int way, Bytes& sums, const Bytes& a, const Bytes& b) {
  const int64_t index = 4;
  const uint8_t *begin = b.data(), *far = b.data() - 1024, *before = b.data() - 32;
#define FLES_VPDPBUSD(encoding, load, operand)                                                                    \
  __asm__ volatile("vmovdqu (%0), %%ymm3\n vmovdqu (%1), %%ymm12\n " load "\n %{" encoding "%} vpdpbusd " operand \
                   ", %%ymm12, %%ymm3\n vmovdqu %%ymm3, (%0)"                                                     \
                   :                                                                                              \
                   : "r"(sums.data()), "r"(a.data()), "r"(begin), "r"(far), "r"(before), "r"(index)               \
                   : "xmm3", "xmm12", "xmm14", "memory")
  switch (way) {
    case 0:
      FLES_VPDPBUSD("vex", "vmovdqu (%2), %%ymm14", "%%ymm14");
      break;
    case 1:
      FLES_VPDPBUSD("vex", "", "(%2)");
      break;
    case 2:
      FLES_VPDPBUSD("vex", "", "1024(%3)");
      break;
    case 3:
      FLES_VPDPBUSD("vex", "", "(%4,%5,8)");
      break;
    case 4:
      FLES_VPDPBUSD("vex", "", "-32(%2,%5,8)");
      break;
    case 5:
      FLES_VPDPBUSD("vex", "", "992(%3,%5,8)");
      break;
    default:  // the same instruction of AVX-512
      FLES_VPDPBUSD("evex", "vmovdqu (%2), %%ymm14", "%%ymm14");
      break;
  }
#undef FLES_VPDPBUSD
}

TEST(AvxVnni, EmulatedOrNotTheInstructionAddsProductsOfBytes) {
  if (!can_run()) GTEST_SKIP() << "this processor has no AVX2";
  const std::vector<std::string> names = feature_names();
  const auto has = [&names](const char* name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  const int ways = has("avx512vnni") && has("avx512vl") ? 7 : 6;
  std::mt19937 random(7);
  std::array<Bytes, 3> operands;
  for (int way = 0; way < 10 * ways; ++way) {
    for (Bytes& bytes : operands) std::generate(bytes.begin(), bytes.end(), [&random] { return random() & 255; });
    if (way < ways) operands[1].fill(255), operands[2].fill(128);  // the largest sum
    Bytes expected = operands[0], actual = operands[0];
    add_products(expected, operands[1], operands[2]);
    run_vpdpbusd(way % ways, actual, operands[1], operands[2]);
    EXPECT_EQ(actual, expected) << "way " << way % ways;
  }
}

TEST(AvxVnni, IsAmongTheLevelsThatAreTested) {
  const std::vector<std::string> names = feature_names();
  EXPECT_EQ(std::count(names.begin(), names.end(), "avxvnni"), can_run() ? 1 : 0);
}

}  // namespace

std::vector<std::string> wrapped_feature_names() {
  std::vector<std::string> names = true_feature_names();
  if (can_run() && std::find(names.begin(), names.end(), "avxvnni") == names.end()) names.emplace_back("avxvnni");
  return names;
}

}  // namespace fles::cpu
#endif
