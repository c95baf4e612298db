// Packing of weights and inputs, for each type. Included after tile.inl.

static uint16_t bfloat16_of(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return static_cast<uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

// Calls write(panel, column in the panel, row) for each of the weight's rows first..first + count - 1.
template <class D, class Write>
FLES_INLINE void for_weight_rows(const float* rows, int count, int first, int K, void* packed, Write&& write) {
  for (int r = 0; r < count; ++r) {
    const int n = first + r;
    write(static_cast<typename D::Panel*>(packed) + n / NR * D::panel_size(K), n % NR, rows + int64_t{r} * K);
  }
}

// Of Float32, or of SplitFloat32, as are panels below. A few values of all rows at a time: what they are written to
// stays in the first-level cache until its columns are full.
template <class D>
static void pack_weight_float32(const float* rows, int count, int first, int K, void* packed) {
  constexpr int kAtOnce = 64;
  for (int begin = 0; begin < padded_for<D>(K); begin += kAtOnce) {
    const int end = padded_for<D>(K) < begin + kAtOnce ? padded_for<D>(K) : begin + kAtOnce;
    for_weight_rows<D>(rows, count, first, K, packed, [&](float* panel, int column, const float* from) {
      float* to = panel + column;
      for (int k = begin; k < end; ++k) to[int64_t{k} * NR] = k < K ? from[k] : 0.0f;
    });
  }
}

static void pack_weight_bfloat16(const float* rows, int count, int first, int K, void* packed) {
  for_weight_rows<Bfloat16>(rows, count, first, K, packed, [&](uint16_t* panel, int column, const float* from) {
    constexpr int kStep = Bfloat16::kStep;
    uint16_t* to = panel + column * kStep;
    for (int k = 0; k < padded_for<Bfloat16>(K); ++k)
      to[int64_t{k / kStep} * NR * kStep + k % kStep] = k < K ? bfloat16_of(from[k]) : 0;
  });
}

static void pack_weight_int8(const float* rows, int count, int first, int K, void* packed) {
  for_weight_rows<Int8>(rows, count, first, K, packed, [&](uint8_t* panel, int column, const float* from) {
    float largest = 0.0f;
    for (int k = 0; k < K; ++k) largest = __builtin_fmaxf(largest, __builtin_fabsf(from[k]));
    auto* header = reinterpret_cast<float*>(panel) + column;
    const float scale = largest / 127.0f;
    header[0] = scale;
    float squares = 0.0f, rounded = 0.0f;
    const float inverse = largest > 0.0f ? 127.0f / largest : 0.0f;
    uint8_t* to = panel + Int8::kPanelHeader + column * kStep;
    for (int k = 0; k < padded_for<Int8>(K); ++k) {
      const int value = k < K ? static_cast<int>(__builtin_rintf(from[k] * inverse)) : 0;
      to[int64_t{k / kStep} * NR * kStep + k % kStep] = static_cast<uint8_t>(value + kWeightOffset);
      if (k >= K) continue;
      const float error = from[k] - scale * static_cast<float>(value);
      squares += from[k] * from[k];
      rounded += error * error;
    }
    header[NR] = __builtin_sqrtf(squares);
    header[2 * NR] = __builtin_sqrtf(rounded);
  });
}

// A block of float32 whose values pass through `convert`.
template <class Convert>
FLES_INLINE void pack_groups(const float* in, int rows, int64_t ld, int K, float* block, Convert&& convert) {
  const int whole = K / kGroup * kGroup;
  for (int k = 0; k < whole; k += kGroup) {
    float* to = block + int64_t{k} * MR;
    for (int i = 0; i < rows; ++i) {
      const group values = *reinterpret_cast<const group_unaligned*>(in + i * ld + k);
      *reinterpret_cast<group_unaligned*>(to + i * kGroup) = convert(values);
    }
    for (int i = rows * kGroup; i < MR * kGroup; ++i) to[i] = 0.0f;
  }
  if (whole == K) return;
  float* to = block + int64_t{whole} * MR;
  for (int i = 0; i < MR; ++i) {
    group values = {};
    for (int g = 0; i < rows && whole + g < K; ++g) values[g] = in[i * ld + whole + g];
    *reinterpret_cast<group_unaligned*>(to + i * kGroup) = convert(values);
  }
}

static void pack_block(const float* in, int rows, int64_t ld, int K, float scale, float* block) {
  pack_groups(in, rows, ld, K, block, [&](group values) { return values * scale; });
}

#if defined(__AMX_TILE__)
static void pack_block_split(const float* in, int rows, int64_t ld, int K, void* to) {
  auto* block = static_cast<uint16_t*>(to);
  constexpr int kMR = SplitFloat32::kMR, kGroup = SplitFloat32::kGroup;
  for (int k = 0; k < K; k += kGroup, block += kParts * kMR * kGroup) {
    for (int i = 0; i < kMR; ++i) {
      for (int j = 0; j < kGroup; j += W) {
        vf x = vf{};
        if (i < rows && k + j + W <= K) {
          x = load(in + i * ld + k + j);
        } else {
          for (int c = 0; i < rows && k + j + c < K && c < W; ++c) x[c] = in[i * ld + k + j + c];
        }
        vu parts[kParts];
        split(x, parts);
        for (int part = 0; part < kParts; ++part) {
          const auto upper = __builtin_convertvector(parts[part] >> 16, half_shorts);
          __builtin_memcpy(block + (part * kMR + i) * kGroup + j, &upper, sizeof upper);
        }
      }
    }
  }
}
#endif

static void pack_block_float32(const float* in, int rows, int64_t ld, int K, void* block) {
  pack_block(in, rows, ld, K, 1.0f, static_cast<float*>(block));
}

typedef uint32_t bits4 __attribute__((vector_size(16)));

FLES_INLINE group round_group(group x) {
  const auto bits = reinterpret_cast<bits4>(x);
  return reinterpret_cast<group>((bits + 0x7FFFU + ((bits >> 16) & 1U)) & 0xFFFF0000U);
}

// Writes a row to its groups of a block of D, of which `to` is the first: convert(W values) gives W of type Value. The
// row is null where it does not exist.
template <class D, class Value, class Convert>
FLES_INLINE void pack_row(const float* row, int K, int inner, Value* to, Convert&& convert) {
  constexpr int kGroup = D::kGroup, kChunk = W > kGroup ? W : kGroup;
  for (int k = 0; k < inner; k += kChunk) {
    Value chunk[kChunk];
#pragma GCC unroll 4
    for (int j = 0; j < kChunk; j += W) {
      vf values = vf{};
      if (row != nullptr && k + j + W <= K) {
        values = load(row + k + j);
      } else {
        for (int i = 0; row != nullptr && k + j + i < K; ++i) values[i] = row[k + j + i];
      }
      const auto converted = convert(values);
      __builtin_memcpy(chunk + j, &converted, W * sizeof(Value));
    }
#pragma GCC unroll 4
    for (int g = 0; g < kChunk; g += kGroup, to += D::kMR * kGroup) {
      if (k + g < inner) __builtin_memcpy(to, chunk + g, kGroup * sizeof(Value));
    }
  }
}

static void pack_block_bfloat16(const float* in, int rows, int64_t ld, int K, void* block) {
#if defined(FLES_BFLOAT16_DOT)
  for (int i = 0; i < Bfloat16::kMR; ++i) {
    pack_row<Bfloat16>(i < rows ? in + i * ld : nullptr, K, padded_for<Bfloat16>(K),
                       static_cast<uint16_t*>(block) + i * Bfloat16::kGroup,
                       [](vf x) { return __builtin_convertvector(round_bfloat16(x) >> 16, half_shorts); });
  }
#else
  pack_groups(in, rows, ld, K, static_cast<float*>(block), [](group values) { return round_group(values); });
#endif
}

FLES_INLINE float largest_of(const float* in, int K) {
  vf largest[4] = {};  // so that comparisons need not wait for one another
  int k = 0;
  for (; k + 4 * W <= K; k += 4 * W) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const vf x = load(in + k + i * W);
      largest[i] = max(largest[i], max(x, -x));
    }
  }
  for (; k + W <= K; k += W) largest[0] = max(largest[0], max(load(in + k), -load(in + k)));
  float result = max_lanes(max(max(largest[0], largest[1]), max(largest[2], largest[3])));
  for (; k < K; ++k) result = __builtin_fmaxf(result, __builtin_fabsf(in[k]));
  return result;
}

// The nearest whole number of each lane, |x| < 2^22.
template <class Integers, class Floats>
FLES_INLINE Integers nearest_as(Floats x, Floats scale) {
  const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer that its low bits hold
  Floats scaled = x * scale;
  // The product is rounded by itself: fused with the sum, it could round to another integer than on other levels.
#if FLES_VECTOR_BYTES == 64 && !defined(__AVX512F__)
  asm("" : "+m"(scaled));  // only in the tests: no register is so wide
#elif defined(__x86_64__)
  asm("" : "+x"(scaled));
#elif defined(__aarch64__)
  asm("" : "+w"(scaled));
#endif
  return reinterpret_cast<Integers>(scaled + magic) - 0x4B400000;
}
FLES_INLINE vi nearest(vf x, vf scale) { return nearest_as<vi>(x, scale); }

static void pack_block_int8(const float* in, int rows, int64_t ld, int K, void* block) {
  constexpr int kUnused = 32 - 8 * static_cast<int>(sizeof(stored_int8));  // bits of a lane
  auto* scales = static_cast<float*>(block);
  auto* groups = reinterpret_cast<stored_int8*>(static_cast<uint8_t*>(block) + Int8::kBlockHeader);
  for (int i = 0; i < Int8::kMR; ++i) {
    const float* row = i < rows ? in + i * ld : nullptr;
    const float largest = row == nullptr ? 0.0f : largest_of(row, K);
    const vf inverse = splat(largest > 0.0f ? 127.0f / largest : 0.0f);
    scales[i] = largest / 127.0f;
    vi sum = vi{};
    pack_row<Int8>(row, K, padded_for<Int8>(K), groups + i * Int8::kGroup, [&](vf x) {
      const vi values = nearest(x, inverse);
      sum += (values << kUnused) >> kUnused;  // of what is stored: NaN leaves any bits
      return __builtin_convertvector(values, stored_int8s);
    });
    int32_t total = 0;
    for (int j = 0; j < W; ++j) total += sum[j];
    __builtin_memcpy(scales + Int8::kMR + i, &total, sizeof total);
  }
}

// Columns as rows of a block of bfloat16, or of the three parts of SplitFloat32.
#if defined(FLES_BFLOAT16_DOT)
template <class D>
FLES_INLINE void pack_bfloat16_columns(const float* in, int rows, int64_t ld, int count, uint16_t* block) {
  constexpr int kMR = D::kMR, kGroup = D::kGroup, kParts = D::kSplits ? 3 : 1;
  const auto place = [&](int r, int i, int part) {
    return block + ((r / kGroup * kParts + part) * kMR + i) * int64_t{kGroup} + r % kGroup;
  };
  const auto clear = [](uint16_t* at, int count) { __builtin_memset(at, 0, count * sizeof *at); };
  transpose_groups(in, rows, ld, count, [&](int r, int i, group x) {
    typedef uint16_t shorts4 __attribute__((vector_size(8)));
#pragma GCC unroll 3
    for (int part = 0; part < kParts; ++part) {
      const group rounded = part == 2 ? x : round_group(x);
      const shorts4 upper = __builtin_convertvector(reinterpret_cast<bits4>(rounded) >> 16, shorts4);
      __builtin_memcpy(place(r, i, part), &upper, sizeof upper);
      x -= rounded;
    }
  });
  const int left = (kGroup - padded(rows) % kGroup) % kGroup;  // of the last group
  for (int part = 0; part < kParts; ++part) {
    for (int i = 0; left > 0 && i < count; ++i) clear(place(padded(rows), i, part), left);
    for (int r = 0; r < rows; r += kGroup) clear(place(r, count, part), (kMR - count) * kGroup);
  }
}
#endif

static void pack_columns_float32(const float* in, int rows, int64_t ld, int count, void* to) {
  auto* block = static_cast<float*>(to);
  transpose_groups(in, rows, ld, count, [&](int r, int i, group x) { store_group(block + r * MR + i * kGroup, x); });
  for (int r = 0; r < padded(rows); r += kGroup) {
    for (int i = count; i < MR; ++i) store_group(block + r * MR + i * kGroup, group{});
  }
}

static void pack_columns_bfloat16(const float* in, int rows, int64_t ld, int count, void* to) {
#if defined(FLES_BFLOAT16_DOT)
  pack_bfloat16_columns<Bfloat16>(in, rows, ld, count, static_cast<uint16_t*>(to));
#else
  pack_columns_float32(in, rows, ld, count, to);
  auto* block = static_cast<float*>(to);
  for (int64_t i = 0; i < Bfloat16::block_size(rows); i += kGroup) {
    auto* values = reinterpret_cast<group_unaligned*>(block + i);
    *values = round_group(*values);
  }
#endif
}

template <class D>
static void pack_panel_float32(const float* in, int rows, int64_t ld, int count, void* to) {
  auto* panel = static_cast<float*>(to);
  for (int r = 0; r < rows; ++r) {
    vf values[NV];
    load_row(in + r * ld, values, count);
    for (int j = 0; j < NV; ++j) store(panel + int64_t{r} * NR + j * W, values[j]);
  }
  for (int64_t i = int64_t{rows} * NR; i < int64_t{padded_for<D>(rows)} * NR; ++i) panel[i] = 0.0f;
}

#if defined(__AMX_TILE__)
static void pack_columns_split(const float* in, int rows, int64_t ld, int count, void* to) {
  pack_bfloat16_columns<SplitFloat32>(in, rows, ld, count, static_cast<uint16_t*>(to));
}
#endif

static void pack_panel_bfloat16(const float* in, int rows, int64_t ld, int count, void* to) {
  constexpr int kStep = Bfloat16::kStep;
  auto* panel = static_cast<uint16_t*>(to);
  for (int r = 0; r < padded_for<Bfloat16>(rows); r += kStep, panel += NR * kStep) {
    vf values[kStep][NV] = {};
    for (int s = 0; s < kStep && r + s < rows; ++s) load_row(in + (r + s) * ld, values[s], count);
    for (int j = 0; j < NV; ++j) {
      const vu first = reinterpret_cast<vu>(round_bfloat16(values[0][j])) >> 16;
      if constexpr (kStep == 2) {  // two rows side by side, the first in the lower half
        const vu pair = first | reinterpret_cast<vu>(round_bfloat16(values[1][j]));
        __builtin_memcpy(panel + j * W * kStep, &pair, sizeof pair);
      } else {
        const auto narrow = __builtin_convertvector(first, half_shorts);
        __builtin_memcpy(panel + j * W, &narrow, sizeof narrow);
      }
    }
  }
}
