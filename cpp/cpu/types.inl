// The arithmetics of matrix products, but for int16.inl: how each stores a block and a panel, and what one step of its
// inner loop does. Included after simd.inl. Intrinsics stand here alone, for the dot-product instructions that vector
// extensions cannot say.
//
// A block is [padded(K) / kGroup][kMR][kGroup]: a row's values lie in groups of 16 bytes, or 64 where tiles are
// multiplied, and a step takes 4 of these (1, 2 or 4 values). A panel is [padded(K) / values of a step][NR][values of a
// step], kPanelStep bytes a step.

typedef int8_t half_bytes __attribute__((vector_size(FLES_VECTOR_BYTES / 2)));
typedef int8_t half_bytes_unaligned __attribute__((vector_size(FLES_VECTOR_BYTES / 2), aligned(1), may_alias));
typedef int16_t shorts __attribute__((vector_size(FLES_VECTOR_BYTES)));
typedef int8_t quarter_bytes __attribute__((vector_size(FLES_VECTOR_BYTES / 4)));
typedef int16_t half_shorts __attribute__((vector_size(FLES_VECTOR_BYTES / 2)));

FLES_INLINE vi load_bits(const void* p) { return *static_cast<const vi_unaligned*>(p); }
FLES_INLINE vi splat_bits(int32_t x) { return x - vi{}; }
FLES_INLINE int32_t bits_at(const void* p) {
  int32_t bits;
  __builtin_memcpy(&bits, p, sizeof bits);
  return bits;
}

// K up to a whole number of groups, each of 16 bytes in a block.
template <class D>
constexpr int padded_for(int K) {
  return (K + D::kGroup - 1) / D::kGroup * D::kGroup;
}

// AVX-512 multiplies by a value in memory as by a vector of it. That saves the instruction that spreads the value for
// two loads instead of one, so every second row takes it: 3 to 7% faster where another thread shares the core.
// Compilers do not choose it for a value that is multiplied twice.
#if defined(__AVX512F__)
typedef int32_t bits_anywhere __attribute__((aligned(1), may_alias));
#define FLES_ADD_AT(instruction)                                            \
  template <class Columns>                                                  \
  FLES_INLINE Sum add_at(Sum sums, const char* row, Columns columns) {      \
    asm(instruction " %2%{1to16%}, %1, %0"                                  \
        : "+v"(sums)                                                        \
        : "v"(columns), "m"(*reinterpret_cast<const bits_anywhere*>(row))); \
    return sums;                                                            \
  }
#else
#define FLES_ADD_AT(instruction)
#endif

// sums + row columns, rounded once in any build, as add_at does it.
FLES_INLINE vf multiply_add(vf sums, float row, vf columns) {
#if defined(__AVX512F__)
  return (vf)_mm512_fmadd_ps((__m512)splat(row), (__m512)columns, (__m512)sums);
#else
  return sums + row * columns;
#endif
}

struct Float32 {
  using Block = float;
  using Panel = float;
  using Sum = vf;
  using Registers = VectorRegisters;
  static constexpr bool kScreens = false, kIntegers = false, kSplits = false;
  static constexpr int kMR = MR, kGroup = 4;
  static constexpr int kBlockHeader = 0, kPanelHeader = 0, kPanelStep = NR * 4;  // bytes
  static constexpr int64_t block_size(int K) { return int64_t{padded_for<Float32>(K)} * kMR; }
  static constexpr int64_t panel_size(int K) { return int64_t{padded_for<Float32>(K)} * NR; }

  FLES_INLINE vf columns(const char* panel, int j) { return load(reinterpret_cast<const float*>(panel) + j * W); }
  FLES_INLINE float row(const char* block) { return *reinterpret_cast<const float*>(block); }
  FLES_INLINE vf add(vf sums, float row, vf columns) { return multiply_add(sums, row, columns); }
  FLES_ADD_AT("vfmadd231ps")
  FLES_INLINE void finish(const float*, const float*, int, vf (&sums)[NV], vf (&out)[NV]) {
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) out[j] = sums[j];
  }
};

#if defined(__AMX_TILE__)
// Blocks hold each value as three of bfloat16 (amx.inl): [padded(K) / kGroup][3][kMR][kGroup], the largest part first.
// Panels hold it as it is, which takes less memory, and are split when they are multiplied.
struct SplitFloat32 {
  using Block = uint16_t;
  using Panel = float;
  using Sum = vf;
  using Registers = DotRegisters;
  static constexpr bool kScreens = false, kIntegers = false, kSplits = true;
  static constexpr int kMR = kDotRows, kGroup = kDotGroupBytes / 2;
  static constexpr int kBlockHeader = 0, kPanelHeader = 0, kPanelStep = NR * 4;  // bytes
  static constexpr int64_t block_size(int K) { return int64_t{3} * padded_for<SplitFloat32>(K) * kMR; }
  static constexpr int64_t panel_size(int K) { return int64_t{padded_for<SplitFloat32>(K)} * NR; }
  static constexpr int64_t split_bytes(int K) { return int64_t{6} * padded_for<SplitFloat32>(K) * NR; }

  FLES_INLINE void finish(const uint16_t*, const float*, int, vf (&sums)[NV], vf (&out)[NV]) {
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) out[j] = sums[j];
  }
};
#endif

// Nearest bfloat16, ties to even, in the upper half of each lane; the lower half is zero.
FLES_INLINE vi round_bfloat16(vf x) {
  const auto bits = reinterpret_cast<vu>(x);
  return reinterpret_cast<vi>((bits + 0x7FFFU + ((bits >> 16) & 1U)) & 0xFFFF0000U);
}

#if defined(__AVX512BF16__)
#define FLES_BFLOAT16_DOT 1
FLES_INLINE vf dot_bfloat16(vf sums, vi a, vi b) {
  return (vf)_mm512_dpbf16_ps((__m512)sums, (__m512bh)a, (__m512bh)b);
}
#elif defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
#define FLES_BFLOAT16_DOT 1
FLES_INLINE vf dot_bfloat16(vf sums, vi a, vi b) {
  return (vf)vbfdotq_f32((float32x4_t)sums, (bfloat16x8_t)a, (bfloat16x8_t)b);
}
#endif

// W values of bfloat16 as float32.
FLES_INLINE vf widen_bfloat16(const uint16_t* p) {
#if FLES_VECTOR_BYTES == 64 && defined(__AVX512F__)
  return reinterpret_cast<vf>(
      (vi)_mm512_maskz_cvtepu16_epi32(0xFFFF, _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(p))) << 16);
#elif FLES_VECTOR_BYTES == 32 && defined(__AVX2__)
  return reinterpret_cast<vf>((vi)_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i_u*>(p))) << 16);
#else
  typedef uint16_t half_unaligned __attribute__((vector_size(FLES_VECTOR_BYTES / 2), aligned(2), may_alias));
  typedef uint16_t half __attribute__((vector_size(FLES_VECTOR_BYTES / 2)));
  return reinterpret_cast<vf>(__builtin_convertvector(half(*reinterpret_cast<const half_unaligned*>(p)), vu) << 16);
#endif
}

struct Bfloat16 {
  using Panel = uint16_t;
  using Sum = vf;
  using Registers = DotRegisters;
  static constexpr bool kScreens = false, kIntegers = false, kSplits = false;
  static constexpr int kBlockHeader = 0, kPanelHeader = 0;
#if defined(FLES_BFLOAT16_DOT)
  using Block = uint16_t;
  static constexpr int kMR = kDotRows, kStep = 2, kGroup = kDotGroupBytes / 2;
  FLES_INLINE vi columns(const char* panel, int j) { return load_bits(panel + j * W * 4); }
  FLES_INLINE vi row(const char* block) { return splat_bits(bits_at(block)); }
  FLES_INLINE vf add(vf sums, vi row, vi columns) { return dot_bfloat16(sums, row, columns); }
#else
  using Block = float;  // rounded: without the instruction the weights are widened as they are read
  static constexpr int kMR = MR, kStep = 1, kGroup = 4;
  FLES_INLINE vf columns(const char* panel, int j) {
    return widen_bfloat16(reinterpret_cast<const uint16_t*>(panel) + j * W);
  }
  FLES_INLINE float row(const char* block) { return *reinterpret_cast<const float*>(block); }
  FLES_INLINE vf add(vf sums, float row, vf columns) { return multiply_add(sums, row, columns); }
  FLES_ADD_AT("vfmadd231ps")
#endif
  static constexpr int kPanelStep = NR * kStep * 2;
  static constexpr int64_t panel_size(int K) { return int64_t{padded_for<Bfloat16>(K)} * NR; }
  static constexpr int64_t block_size(int K) { return int64_t{padded_for<Bfloat16>(K)} * kMR; }

  FLES_INLINE void finish(const Block*, const uint16_t*, int, vf (&sums)[NV], vf (&out)[NV]) {
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) out[j] = sums[j];
  }
};

// a b summed over the two whole numbers of 16 bits of each lane.
FLES_INLINE vi multiply_pairs(vi a, vi b) {
#if FLES_VECTOR_BYTES == 64 && defined(__AVX512BW__)
  return (vi)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif FLES_VECTOR_BYTES == 32 && defined(__AVX2__)
  return (vi)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif FLES_VECTOR_BYTES == 16 && defined(__SSE2__)
  return (vi)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
  return ((a << 16) >> 16) * ((b << 16) >> 16) + (a >> 16) * (b >> 16);
#endif
}

// sums += a b over the whole numbers of a lane: four of 8 bits where there is an instruction for that, else two that
// were widened to 16 bits. kWeightOffset is added to weights that the instruction takes as unsigned, and is taken back
// by the sum of the input's row.
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
constexpr int kStep = 4;
typedef int8_t stored_int8;
typedef quarter_bytes stored_int8s;  // W of them
#if defined(__AMX_INT8__)
constexpr int kWeightOffset = 0;
#else
constexpr int kWeightOffset = 128;
#endif
#if defined(__AVX512VNNI__)
FLES_INLINE vi dot_int8(vi sums, vi a, vi b) { return (vi)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)b, (__m512i)a); }
#else
FLES_INLINE vi dot_int8(vi sums, vi a, vi b) {
  return (vi)_mm256_dpbusd_avx_epi32((__m256i)sums, (__m256i)b, (__m256i)a);
}
#endif
#elif defined(__ARM_FEATURE_DOTPROD)
constexpr int kStep = 4;
typedef int8_t stored_int8;
typedef quarter_bytes stored_int8s;  // W of them
constexpr int kWeightOffset = 0;
FLES_INLINE vi dot_int8(vi sums, vi a, vi b) { return (vi)vdotq_s32((int32x4_t)sums, (int8x16_t)b, (int8x16_t)a); }
#else
constexpr int kStep = 2;
typedef int16_t stored_int8;
typedef half_shorts stored_int8s;
constexpr int kWeightOffset = 0;
FLES_INLINE vi dot_int8(vi sums, vi a, vi b) { return sums + multiply_pairs(a, b); }
#endif

// The weights of one step, a lane a column.
FLES_INLINE vi load_weights(const uint8_t* p) {
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__) || defined(__ARM_FEATURE_DOTPROD)
  return load_bits(p);
#elif FLES_VECTOR_BYTES == 64 && defined(__AVX512BW__)
  return (vi)_mm512_maskz_cvtepi8_epi16(0xFFFFFFFF, _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(p)));
#elif FLES_VECTOR_BYTES == 32 && defined(__AVX2__)
  return (vi)_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i_u*>(p)));
#else
  return reinterpret_cast<vi>(
      __builtin_convertvector(half_bytes(*reinterpret_cast<const half_bytes_unaligned*>(p)), shorts));
#endif
}

struct Int8 {
  // Scales of the kMR rows and sums of their values, then the values, of 16 bits where kStep is 2.
  using Block = uint8_t;
  // Scales of the NR columns, L2 norms of their weights and of what rounding took from these, then the values.
  using Panel = uint8_t;
  using Sum = vi;
  using Registers = DotRegisters;
  static constexpr bool kScreens = true, kIntegers = true, kSplits = false;
  static constexpr int kMR = kDotRows, kGroup = kDotGroupBytes / 4 * kStep;
  static constexpr int kBlockHeader = kMR * 8;
  static constexpr int kPanelHeader = NR * 12;
  static constexpr int kPanelStep = NR * kStep;
  static constexpr int64_t block_size(int K) { return kBlockHeader + int64_t{padded_for<Int8>(K)} / kStep * kMR * 4; }
  static constexpr int64_t panel_size(int K) { return kPanelHeader + int64_t{padded_for<Int8>(K)} * NR; }

  FLES_INLINE vi columns(const char* panel, int j) {
    return load_weights(reinterpret_cast<const uint8_t*>(panel) + j * W * kStep);
  }
  FLES_INLINE vi row(const char* block) { return splat_bits(bits_at(block)); }
  FLES_INLINE vi add(vi sums, vi row, vi columns) { return dot_int8(sums, row, columns); }
#if defined(__AVX512VNNI__)
  FLES_ADD_AT("vpdpbusd")
#endif
  FLES_INLINE void finish(const uint8_t* a, const uint8_t* b, int row, vi (&sums)[NV], vf (&out)[NV]) {
    const auto* scales = reinterpret_cast<const float*>(a);
    const float scale = scales[row];
    const int32_t offset = kWeightOffset * bits_at(scales + kMR + row);
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) {
      out[j] =
          __builtin_convertvector(sums[j] - offset, vf) * (scale * load(reinterpret_cast<const float*>(b) + j * W));
    }
  }
};

// The share of a block in the panel that is wanted next; none for a single block, which never leaves the memory idle
// but where the panel was split beforehand.
template <class D>
FLES_INLINE Ahead ahead_of(const typename D::Panel* next, int K, int block, int blocks) {
  const int64_t step = blocks == 1 && !D::kSplits ? 0 : D::kPanelStep / blocks;
  const int64_t bytes = D::panel_size(K) * static_cast<int64_t>(sizeof(typename D::Panel)) - D::kPanelHeader;
  const int64_t steps = bytes / D::kPanelStep;
  return {reinterpret_cast<const char*>(next) + block * steps * step, step};
}

// Adds the products of rows first..first + M - 1 of a block with a panel to the sums.
template <class D, int M, class Next>
FLES_INLINE void multiply(const typename D::Block* block, int first, const typename D::Panel* panel, int K,
                          typename D::Sum (&sums)[M][NV], Next next) {
  constexpr int kGroupBytes = 16;
  const char* __restrict a = reinterpret_cast<const char*>(block) + D::kBlockHeader + first * kGroupBytes;
  const char* __restrict b = reinterpret_cast<const char*>(panel) + D::kPanelHeader;
  for (int k = 0; k < K; k += D::kGroup, a += (D::kMR - 1) * kGroupBytes) {
#pragma GCC unroll 4
    for (int line = 0; line < D::kMR * kGroupBytes; line += 64) __builtin_prefetch(a + kBlockAhead + line);
    // Not unrolled: GCC would mix the loads of all four steps, for which there are not enough registers.
#pragma GCC unroll 1
    for (int step = 0; step < 4; ++step, a += 4, b += D::kPanelStep) {
#pragma GCC unroll 2
      for (int line = 0; line < D::kPanelStep; line += 64) __builtin_prefetch(b + kPanelAhead + line);
      Next::fetch(next);
      decltype(D::columns(b, 0)) columns[NV];
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) columns[j] = D::columns(b, j);
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i) {
        const char* at = a + i * kGroupBytes;
        if constexpr (requires { D::add_at(sums[i][0], at, columns[0]); }) {
          if (i % 2 == 1) {
#pragma GCC unroll 2
            for (int j = 0; j < NV; ++j) sums[i][j] = D::add_at(sums[i][j], at, columns[j]);
            continue;
          }
        }
        const auto row = D::row(at);
#pragma GCC unroll 2
        for (int j = 0; j < NV; ++j) sums[i][j] = D::add(sums[i][j], row, columns[j]);
      }
    }
  }
}
