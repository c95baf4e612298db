// Instructions that the processor lacks, so that the levels that need them are tested on any machine. They are
// undefined there and raise SIGILL; a handler does what the instruction would have done and goes on behind it.
#pragma once
#if defined(__x86_64__) && defined(__linux__)
#include <ucontext.h>

#include <cstdint>
#include <string>

namespace fles::cpu {

// One with a VEX prefix of three bytes, of the map 0F38 and with W = 0, as all of these are.
struct Instruction {
  enum Prefix { kNone, k66, kF3, kF2 };  // as the field pp counts them

  // Where the operand in memory is. One of several rows names the distance between them as its index.
  uint8_t* address(int64_t row = 1) const { return reinterpret_cast<uint8_t*>(base + row * index); }

  Prefix prefix = kNone;
  int opcode = 0;
  bool wide = false;     // 32 bytes, else 16
  int reg = 0, vex = 0;  // numbers of registers: ModRM.reg, VEX.vvvv
  int rm = -1;           // ModRM.rm likewise, or an operand in memory
  int64_t base = 0;      // with the displacement
  int64_t index = 0;     // times its scale
  int length = 0;
};

// Where XSAVE put a component of the registers (Intel's manual, volume 1, chapter 13) before the handler was called, to
// be loaded when it returns; null where there is none.
uint8_t* saved_component(const ucontext_t& context, int number);

// What is emulated: each is false when the instruction is none of its own or may not be executed.
bool execute_avx_vnni(const Instruction& instruction, const ucontext_t& context);
bool execute_amx(const Instruction& instruction, const ucontext_t& context);

// Whether feature_names() has it, and usable_kernels() the level.
bool has_feature(const std::string& name);
bool is_usable(const std::string& level);

}  // namespace fles::cpu
#endif
