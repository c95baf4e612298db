// The linker puts the functions wrapped_ here in the place of those that the core calls (--wrap in CMakeLists.txt), so
// that levels are found whose instructions are emulated.
#include "emulated_instructions.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "cpu/amx_permission.h"
#include "cpu/cpu_features.h"
#include "cpu/levels.h"

namespace fles::cpu {

// Names that the linker gives for --wrap.
std::vector<std::string> true_feature_names() __asm__("__real__ZN4fles3cpu13feature_namesB5cxx11Ev");
std::vector<std::string> wrapped_feature_names() __asm__("__wrap__ZN4fles3cpu13feature_namesB5cxx11Ev");
bool true_request_amx() __asm__("__real__ZN4fles3cpu11request_amxEv");
bool wrapped_request_amx() __asm__("__wrap__ZN4fles3cpu11request_amxEv");

namespace {

int64_t read_displacement(const uint8_t* code, int bytes) {
  if (bytes == 1) return static_cast<int8_t>(*code);
  int32_t value = 0;
  if (bytes == 4) std::memcpy(&value, code, 4);
  return value;
}

// Intel's manual, volume 2, chapters 2.1 and 2.3; false when the code is an instruction of another kind.
bool decode(const greg_t* general, Instruction& out) {
  const auto* code = reinterpret_cast<const uint8_t*>(general[REG_RIP]);
  if (code[0] != 0xC4 || (code[1] & 0x1F) != 0x02 || (code[2] & 0x80) != 0) return false;
  const auto extension = [code](int bit) { return (code[1] >> bit & 1) != 0 ? 0 : 8; };
  const auto value = [general](int number) {
    constexpr std::array<int, 16> kPlaces = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                             REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    return general[kPlaces[number]];
  };
  const int mode = code[4] >> 6, low = code[4] & 7;
  out.prefix = static_cast<Instruction::Prefix>(code[2] & 3);
  out.opcode = code[3];
  out.wide = (code[2] & 4) != 0;
  out.reg = (code[4] >> 3 & 7) + extension(7);
  out.vex = ~code[2] >> 3 & 15;
  out.length = 5;
  if (mode == 3) {
    out.rm = low + extension(5);
    return true;
  }
  int displacement = mode == 1 ? 1 : mode == 2 ? 4 : 0;
  bool relative = false;
  if (low == 4) {
    const int scaled = code[out.length++];
    const int index = (scaled >> 3 & 7) + extension(6), base = scaled & 7;
    if (index != 4) out.index = value(index) << (scaled >> 6);
    if (mode == 0 && base == 5)
      displacement = 4;
    else
      out.base = value(base + extension(5));
  } else if (mode == 0 && low == 5) {
    relative = true;
    displacement = 4;
  } else {
    out.base = value(low + extension(5));
  }
  out.base += read_displacement(code + out.length, displacement);
  out.length += displacement;
  if (relative) out.base += reinterpret_cast<int64_t>(code) + out.length;
  return true;
}

void on_undefined_instruction(int number, siginfo_t*, void* argument) {
  ucontext_t& context = *static_cast<ucontext_t*>(argument);
  greg_t* general = context.uc_mcontext.gregs;
  Instruction instruction;
  if (decode(general, instruction) && (execute_avx_vnni(instruction, context) || execute_amx(instruction, context)))
    general[REG_RIP] += instruction.length;
  else
    signal(number, SIG_DFL);  // it is raised again, and ends the program
}

bool can_handle() {
  static const bool can = [] {
    struct sigaction action{};
    action.sa_sigaction = on_undefined_instruction;
    action.sa_flags = SA_SIGINFO;
    return sigaction(SIGILL, &action, nullptr) == 0;
  }();
  return can;
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

uint8_t* saved_component(const ucontext_t& context, int number) {
  struct Place {
    unsigned size = 0, offset = 0;
  };
  static const auto places = [] {  // CPUID takes long in a virtual machine
    std::array<Place, 18> all;
    all[1] = {256, 160};
    for (unsigned i = 2, ecx = 0, edx = 0; i < all.size(); ++i)
      __cpuid_count(0xD, i, all[i].size, all[i].offset, ecx, edx);
    return all;
  }();
  const auto [size, offset] = places[number];
  auto* area = reinterpret_cast<uint8_t*>(context.uc_mcontext.fpregs);
  uint64_t saved = 0, present = 0;
  std::memcpy(&saved, area + 472, 8);  // xfeatures in struct _fpx_sw_bytes of the kernel's asm/sigcontext.h
  std::memcpy(&present, area + 512, 8);
  const uint64_t bit = uint64_t{1} << number;
  if ((saved & bit) == 0) return nullptr;
  if ((present & bit) == 0) std::memset(area + offset, 0, size);
  present |= bit;
  std::memcpy(area + 512, &present, 8);
  return area + offset;
}

bool has_feature(const std::string& name) { return contains(feature_names(), name); }

bool is_usable(const std::string& level) {
  const std::vector<const Kernels*> usable = usable_kernels();
  return std::any_of(usable.begin(), usable.end(), [&level](const Kernels* kernels) { return level == kernels->name; });
}

std::vector<std::string> wrapped_feature_names() {
  std::vector<std::string> names = true_feature_names();
  // What emulation adds, and what it is done with.
  const auto emulate = [&names](const std::vector<std::string>& added, const std::string& needed) {
    if (!contains(names, added.front()) && contains(names, needed) && can_handle())
      names.insert(names.end(), added.begin(), added.end());
  };
  emulate({"avxvnni"}, "avx2");
  emulate({"amxtile", "amxbf16", "amxint8"}, "avx512f");
  return names;
}

// Without the permission Linux raises SIGILL for the tiles of a processor that has them.
bool wrapped_request_amx() {
  const char* emulated = std::getenv("FLES_EMULATE_AMX");
  return (emulated == nullptr || *emulated == '\0') && true_request_amx();
}

}  // namespace fles::cpu
#endif
