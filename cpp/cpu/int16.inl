// Whole numbers of 16 bits: rows of both operands are rounded to whole numbers times a scale of their own, multiplied
// and summed exactly. The largest row has an L2 norm of 32767, so that no sum overflows: by Cauchy and Schwarz it is at
// most 32767^2 in size, to which rounding adds little. Included after packing.inl.

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
#define FLES_INT16_DOT
#endif

// sums += a b over the two whole numbers of a lane.
FLES_INLINE vi dot_int16(vi sums, vi a, vi b) {
#if defined(__AVX512VNNI__)
  return (vi)_mm512_dpwssd_epi32((__m512i)sums, (__m512i)a, (__m512i)b);
#elif defined(__AVXVNNI__)
  return (vi)_mm256_dpwssd_avx_epi32((__m256i)sums, (__m256i)a, (__m256i)b);
#else
  return sums + multiply_pairs(a, b);
#endif
}

struct Int16 {
  // Scales of the rows, of the columns, then the values.
  using Block = uint8_t;
  using Panel = uint8_t;
  using Sum = vi;
  using Registers = VectorRegisters;
  static constexpr bool kScreens = false, kIntegers = true, kSplits = false;
  static constexpr int kMR = MR, kStep = 2, kGroup = 8;
  static constexpr int kBlockHeader = (kMR * 4 + 15) / 16 * 16, kPanelHeader = NR * 4, kPanelStep = NR * 4;  // bytes
  static constexpr int64_t block_size(int K) { return kBlockHeader + int64_t{padded_for<Int16>(K)} * kMR * 2; }
  static constexpr int64_t panel_size(int K) { return kPanelHeader + int64_t{padded_for<Int16>(K)} * NR * 2; }

  FLES_INLINE vi columns(const char* panel, int j) { return load_bits(panel + j * W * 4); }
  FLES_INLINE vi row(const char* block) { return splat_bits(bits_at(block)); }
  FLES_INLINE vi add(vi sums, vi row, vi columns) { return dot_int16(sums, row, columns); }
#if defined(__AVX512VNNI__)
  FLES_ADD_AT("vpdpwssd")
#endif
  FLES_INLINE void finish(const uint8_t* a, const uint8_t* b, int row, vi (&sums)[NV], vf (&out)[NV]) {
    const float scale = reinterpret_cast<const float*>(a)[row];
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) {
      out[j] = __builtin_convertvector(sums[j], vf) * (scale * load(reinterpret_cast<const float*>(b) + j * W));
    }
  }
};

constexpr float kLargestNorm = 32767.0f;  // of a row that was rounded

struct Int16Scale {
  float scale, inverse;
  // Of a row by the sum of its squares. The norm is rounded up to five bits, on which the order in which the squares
  // were added has a say only where it is all but exactly one of these: so nearly always every level rounds a row
  // alike. A row whose squares are too small to be added is 0. Not a number where a value of the row is none.
  explicit Int16Scale(float squares) {
    const float norm = __builtin_sqrtf(squares);
    uint32_t bits;
    __builtin_memcpy(&bits, &norm, sizeof bits);
    bits = (bits + 0x7FFFFU) & 0xFFF80000U;
    float bound;
    __builtin_memcpy(&bound, &bits, sizeof bound);
    const bool vanishes = norm < 1e-18f;
    scale = vanishes ? 0.0f : norm < __builtin_inff() ? bound / kLargestNorm : norm;
    inverse = vanishes || !(bound > 0.0f) ? 0.0f : kLargestNorm / bound;
  }
};

static float sum_of_squares(const float* in, int K) {
  vf squares[4] = {};  // so that additions need not wait for one another
  int k = 0;
  for (; k + 4 * W <= K; k += 4 * W) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const vf x = load(in + k + i * W);
      squares[i] += x * x;
    }
  }
  for (; k + W <= K; k += W) squares[0] += load(in + k) * load(in + k);
  float sum = sum_lanes((squares[0] + squares[1]) + (squares[2] + squares[3]));
  for (; k < K; ++k) sum += in[k] * in[k];
  return sum;
}

// What is stored of W values.
FLES_INLINE half_shorts int16_of(vf x, vf inverse) { return __builtin_convertvector(nearest(x, inverse), half_shorts); }

static void pack_block_int16(const float* in, int rows, int64_t ld, int K, void* block) {
  auto* scales = static_cast<float*>(block);
  auto* groups = reinterpret_cast<int16_t*>(static_cast<uint8_t*>(block) + Int16::kBlockHeader);
  for (int i = 0; i < Int16::kMR; ++i) {
    const float* row = i < rows ? in + i * ld : nullptr;
    const Int16Scale scale(row == nullptr ? 0.0f : sum_of_squares(row, K));
    const vf inverse = splat(scale.inverse);
    scales[i] = scale.scale;
    pack_row<Int16>(row, K, padded_for<Int16>(K), groups + i * Int16::kGroup,
                    [&](vf x) { return int16_of(x, inverse); });
  }
}

static void pack_weight_int16(const float* rows, int count, int first, int K, void* packed) {
  for_weight_rows<Int16>(rows, count, first, K, packed, [&](uint8_t* panel, int column, const float* from) {
    const Int16Scale scale(sum_of_squares(from, K));
    reinterpret_cast<float*>(panel)[column] = scale.scale;
    const vf inverse = splat(scale.inverse);
    auto* to = reinterpret_cast<int16_t*>(panel + Int16::kPanelHeader) + column * Int16::kStep;
    for (int k = 0; k < padded_for<Int16>(K); k += W) {
      vf values = vf{};
      for (int i = 0; i < W && k + i < K; ++i) values[i] = from[k + i];
      const half_shorts rounded = int16_of(values, inverse);
      for (int i = 0; i < W && k + i < padded_for<Int16>(K); i += Int16::kStep)
        __builtin_memcpy(to + int64_t{k + i} * NR, reinterpret_cast<const int16_t*>(&rounded) + i, 4);
    }
  });
}

// Of the first columns of a matrix (rows, ld), NR at most: their scales and the inverses of these, 0 for the others.
FLES_INLINE void scale_columns(const float* in, int rows, int64_t ld, int count, float* scales, float* inverses) {
  const int64_t end = (rows - 1) * ld + count;  // of what may be read
  vf squares[NV] = {};
  for (int r = 0; r < rows; ++r) {
    if (r + kAhead < rows) prefetch_row(in + (r + kAhead) * ld, count);
    vf x[NV];
    load_row(in + r * ld, x, r * ld + NR <= end ? NR : count);
    for (int j = 0; j < NV; ++j) squares[j] += x[j] * x[j];
  }
  for (int c = 0; c < NR; ++c) {
    const Int16Scale scale(c < count ? squares[c / W][c % W] : 0.0f);
    scales[c] = scale.scale;
    inverses[c] = scale.inverse;
  }
}

static void pack_panel_int16(const float* in, int rows, int64_t ld, int count, void* to) {
  auto* panel = static_cast<uint8_t*>(to);
  float inverses[NR];
  scale_columns(in, rows, ld, count, reinterpret_cast<float*>(panel), inverses);
  vf inverse[NV];
  for (int j = 0; j < NV; ++j) inverse[j] = load(inverses + j * W);
  panel += Int16::kPanelHeader;
  for (int r = 0; r < padded_for<Int16>(rows); r += Int16::kStep, panel += Int16::kPanelStep) {
    vf values[Int16::kStep][NV] = {};
    for (int s = 0; s < Int16::kStep && r + s < rows; ++s) load_row(in + (r + s) * ld, values[s], count);
    for (int j = 0; j < NV; ++j) {
      const vi pair = (nearest(values[0][j], inverse[j]) & 0xFFFF) | nearest(values[1][j], inverse[j]) << 16;
      __builtin_memcpy(panel + j * W * 4, &pair, sizeof pair);
    }
  }
}

static void pack_columns_int16(const float* in, int rows, int64_t ld, int count, void* to) {
  constexpr int kMR = Int16::kMR, kGroup = Int16::kGroup;
  constexpr int kWhole = (kMR + NR - 1) / NR * NR;
  auto* block = static_cast<uint8_t*>(to);
  float scales[kWhole], inverses[kWhole];
  for (int c = 0; c < kWhole; c += NR) {
    const int some = count - c < 0 ? 0 : count - c < NR ? count - c : NR;
    scale_columns(in + c, some == 0 ? 0 : rows, ld, some, scales + c, inverses + c);
  }
  __builtin_memcpy(block, scales, kMR * sizeof *scales);
  auto* groups = reinterpret_cast<int16_t*>(block + Int16::kBlockHeader);
  __builtin_memset(groups, 0, int64_t{padded_for<Int16>(rows)} * kMR * sizeof *groups);
  transpose_groups(in, rows, ld, count, [&](int r, int i, group x) {
    typedef int32_t integers4 __attribute__((vector_size(16)));
    typedef int16_t shorts4 __attribute__((vector_size(8)));
    const auto rounded = __builtin_convertvector(nearest_as<integers4>(x, inverses[i] - group{}), shorts4);
    __builtin_memcpy(groups + (r / kGroup * kMR + i) * int64_t{kGroup} + r % kGroup, &rounded, sizeof rounded);
  });
}
