// The instructions of AMX that the level amx has (Intel's manual, volume 1, chapter 18, and volume 2).
#if defined(__x86_64__) && defined(__linux__)
#include <immintrin.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "emulated_instructions.h"

namespace fles::cpu {
namespace {

constexpr int kTiles = 8, kRows = 16, kRowBytes = 64, kLanes = kRowBytes / 4;

// What LDTILECFG reads. A tile without rows is not configured.
struct Configuration {
  uint8_t palette = 0, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  bool has(int tile) const { return tile >= 0 && tile < kTiles && rows[tile] != 0; }
  bool is_valid() const {
    for (int i = 0; i < 16; ++i) {
      const bool empty = rows[i] == 0 && row_bytes[i] == 0;
      const bool fits = rows[i] > 0 && rows[i] <= kRows && row_bytes[i] > 0 && row_bytes[i] <= kRowBytes;
      if (!empty && (i >= kTiles || !fits)) return false;
    }
    return palette == 1 && start_row == 0;
  }
};

// A lane is four bytes, two bfloat16 or a sum.
struct alignas(kRowBytes) Tile {
  int32_t rows[kRows][kLanes] = {};
};

thread_local Configuration configuration;
thread_local std::array<Tile, kTiles> tiles;

bool configure(const Configuration& next) {
  configuration = next;
  tiles.fill({});
  return true;
}

bool load_configuration(const uint8_t* from) {
  Configuration next;
  std::memcpy(&next, from, sizeof next);
  return next.is_valid() && configure(next);
}

bool zero(int tile) {
  if (!configuration.has(tile)) return false;
  tiles[tile] = {};
  return true;
}

bool load(int tile, const Instruction& from) {
  if (!zero(tile)) return false;
  for (int i = 0; i < configuration.rows[tile]; ++i)
    std::memcpy(tiles[tile].rows[i], from.address(i), configuration.row_bytes[tile]);
  return true;
}

bool store(int tile, const Instruction& to) {
  if (!configuration.has(tile)) return false;
  for (int i = 0; i < configuration.rows[tile]; ++i)
    std::memcpy(to.address(i), tiles[tile].rows[i], configuration.row_bytes[tile]);
  return true;
}

// Plain loops would take a hundred times as long under sanitizers.
typedef int32_t Lanes __attribute__((vector_size(kRowBytes)));
#define FLES_AVX512 __attribute__((target("avx512f")))

FLES_AVX512 __m512 lower_bfloat16(Lanes lanes) { return reinterpret_cast<__m512>(lanes << 16); }
FLES_AVX512 __m512 upper_bfloat16(Lanes lanes) { return reinterpret_cast<__m512>(lanes >> 16 << 16); }
FLES_AVX512 Lanes int8(Lanes lanes, int number) { return lanes << (24 - 8 * number) >> 24; }

// The first `bytes` of a row of sums; each of the first `count` lanes of `left` goes with a row of `right`.
typedef void AddProducts(int32_t* sums, int bytes, const int32_t* left, const Tile& right, int count);

// Products of lower and of upper halves have sums of their own.
FLES_AVX512 void add_bfloat16(int32_t* sums, int bytes, const int32_t* left, const Tile& right, int count) {
  __m512 lower = {}, upper = {};
  for (int k = 0; k < count; ++k) {
    const Lanes a = Lanes{} + left[k], b = *reinterpret_cast<const Lanes*>(right.rows[k]);
    lower = _mm512_fmadd_ps(lower_bfloat16(a), lower_bfloat16(b), lower);
    upper = _mm512_fmadd_ps(upper_bfloat16(a), upper_bfloat16(b), upper);
  }
  const __m512 sum = *reinterpret_cast<const __m512*>(sums) + (lower + upper);
  std::memcpy(sums, &sum, bytes);
}

FLES_AVX512 void add_int8(int32_t* sums, int bytes, const int32_t* left, const Tile& right, int count) {
  typedef uint32_t Sums __attribute__((vector_size(kRowBytes)));  // modulo 2^32
  Sums sum = *reinterpret_cast<const Sums*>(sums);
  for (int k = 0; k < count; ++k) {
    const Lanes a = Lanes{} + left[k], b = *reinterpret_cast<const Lanes*>(right.rows[k]);
    for (int i = 0; i < 4; ++i) sum += reinterpret_cast<Sums>(int8(a, i) * int8(b, i));
  }
  std::memcpy(sums, &sum, bytes);
}
#undef FLES_AVX512

bool multiply(const Instruction& instruction, AddProducts* add_products) {
  const int sums = instruction.reg, left = instruction.rm, right = instruction.vex;
  const uint8_t* rows = configuration.rows;
  const uint16_t* bytes = configuration.row_bytes;
  if (!configuration.has(sums) || !configuration.has(left) || !configuration.has(right)) return false;
  if (sums == left || left == right || right == sums) return false;
  if (rows[sums] != rows[left] || bytes[sums] != bytes[right] || bytes[left] != 4 * rows[right]) return false;
  if (bytes[sums] % 4 != 0) return false;
  for (int i = 0; i < rows[sums]; ++i)
    add_products(tiles[sums].rows[i], bytes[sums], tiles[left].rows[i], tiles[right], rows[right]);
  return true;
}

}  // namespace

bool execute_amx(const Instruction& instruction, const ucontext_t& context) {
  // A processor with AMX executes LDTILECFG and TILERELEASE without the permission too: what they set is saved.
  constexpr int kTileConfiguration = 17;
  const uint8_t* saved = saved_component(context, kTileConfiguration);
  if (saved != nullptr) std::memcpy(&configuration, saved, sizeof configuration);

  const int tile = instruction.reg;
  const bool in_memory = instruction.rm < 0;
  switch (instruction.opcode << 8 | instruction.prefix) {
    case 0x49 << 8 | Instruction::kNone:
      return in_memory ? load_configuration(instruction.address()) : configure({});
    case 0x49 << 8 | Instruction::kF2:
      return !in_memory && zero(tile);
    case 0x4B << 8 | Instruction::kF2:
      return in_memory && load(tile, instruction);
    case 0x4B << 8 | Instruction::kF3:
      return in_memory && store(tile, instruction);
    case 0x5C << 8 | Instruction::kF3:
      // Denormals are zero and no exception is known. What was set is set again behind the handler.
      _mm_setcsr(_MM_MASK_MASK | _MM_FLUSH_ZERO_ON | 0x40);
      return multiply(instruction, add_bfloat16);
    case 0x5E << 8 | Instruction::kF2:
      return multiply(instruction, add_int8);
    default:
      return false;
  }
}

}  // namespace fles::cpu
#endif
