// One head of attention of one text. Included after packing.inl and random.inl.
//
// Scores are kept in units of log2, so that 2^x takes the place of e^x: the scale of the queries includes log2 e.

constexpr float kLog2E = 1.44269504f;
constexpr float kLn2 = 0.693147181f;

FLES_INLINE int round_up(int n, int step) { return (n + step - 1) / step * step; }

// Parts of one piece of scratch memory, each at a multiple of 64 bytes.
struct Parts {
  size_t total = 0;
  size_t take(int64_t floats) {
    const size_t part = total;
    total += (static_cast<size_t>(floats) + 15) / 16 * 16;
    return part;
  }
};

// The transpose of (S, ld), D columns, as panels [S / NR][padded(D)][NR], zero beyond S and D; before each panel there
// is room for a header, in floats.
static void pack_transposed_panels(const float* in, int S, int64_t ld, int D, float* panels, int header = 0) {
  const int64_t inner = padded(D);
  for (int s = 0; s < S; s += NR) {
    float* panel = panels + s * inner + (s / NR + 1) * header;
    const int rows = S - s < NR ? S - s : NR;
    transpose_groups(in + s * ld, rows, ld, D, [&](int r, int d, group x) { store_group(panel + d * NR + r, x); });
    for (int r = padded(rows); r < NR; r += kGroup) {
      for (int d = 0; d < D; ++d) store_group(panel + d * NR + r, group{});
    }
    for (int64_t i = int64_t{D} * NR; i < inner * NR; ++i) panel[i] = 0.0f;
  }
}

// (S, ld), D columns, as panels [D / NR][padded(S)][NR], zero beyond S and D.
static void pack_panels(const float* in, int S, int64_t ld, int D, float* panels) {
  const int64_t panel = int64_t{padded(S)} * NR;
  for (int s = 0; s < padded(S); ++s) {
    if (s + kAhead < S) prefetch_row(in + (s + kAhead) * ld, D);
    for (int d = 0; d < D; d += NR) {
      vf values[NV] = {};
      if (s < S) load_row(in + s * ld + d, values, D - d < NR ? D - d : NR);
      for (int j = 0; j < NV; ++j) store(panels + d / NR * panel + s * NR + j * W, values[j]);
    }
  }
}

// Rows whose groups fill a vector, and are stored to a block together.
constexpr int kRows = W / kGroup;

// Two groups of one vector, then two of another, each by its number. The compilers do not see a shuffle in a vector
// that is put together from single values.
#if FLES_VECTOR_BYTES == 64
#define FLES_LANES(g) 4 * (g), 4 * (g) + 1, 4 * (g) + 2, 4 * (g) + 3
#if defined(__clang__)
#define FLES_GROUPS(a, b, i, j, k, l) \
  __builtin_shufflevector(a, b, FLES_LANES(i), FLES_LANES(j), FLES_LANES(4 + (k)), FLES_LANES(4 + (l)))
#else
#define FLES_GROUPS(a, b, i, j, k, l) \
  __builtin_shuffle(a, b, vi{FLES_LANES(i), FLES_LANES(j), FLES_LANES(4 + (k)), FLES_LANES(4 + (l))})
#endif
#endif

// Transposes groups: x[g] becomes group g of every row.
FLES_INLINE void transpose_groups([[maybe_unused]] vf (&x)[kRows]) {
#if FLES_VECTOR_BYTES == 32
  const vf a = x[0], b = x[1];
#if defined(__clang__)
  x[0] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11);
  x[1] = __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
#else
  x[0] = __builtin_shuffle(a, b, vi{0, 1, 2, 3, 8, 9, 10, 11});
  x[1] = __builtin_shuffle(a, b, vi{4, 5, 6, 7, 12, 13, 14, 15});
#endif
#elif FLES_VECTOR_BYTES == 64
  const vf ab = FLES_GROUPS(x[0], x[1], 0, 1, 0, 1), cd = FLES_GROUPS(x[2], x[3], 0, 1, 0, 1);
  const vf ef = FLES_GROUPS(x[0], x[1], 2, 3, 2, 3), gh = FLES_GROUPS(x[2], x[3], 2, 3, 2, 3);
  x[0] = FLES_GROUPS(ab, cd, 0, 2, 0, 2);
  x[1] = FLES_GROUPS(ab, cd, 1, 3, 1, 3);
  x[2] = FLES_GROUPS(ef, gh, 0, 2, 0, 2);
  x[3] = FLES_GROUPS(ef, gh, 1, 3, 1, 3);
#undef FLES_GROUPS
#undef FLES_LANES
#endif
}

// W neighbouring values of kRows rows, row r in x[r], to a block, in which `place` is that of the first value. Only the
// first `rows` rows of them exist.
FLES_INLINE void store_block_rows(float* place, vf (&x)[kRows], int rows) {
  transpose_groups(x);
#pragma GCC unroll 4
  for (int g = 0; g < kRows; ++g) {
    float* to = place + g * MR * kGroup;
    if (MR % kRows == 0 || rows >= kRows) {
      store(to, x[g]);
      continue;
    }
    for (int l = 0; l < rows * kGroup; ++l) to[l] = x[g][l];
  }
}

// MR rows and those that fill their last vector up: of these only the memory exists.
constexpr int kMostRows = (MR + kRows - 1) / kRows * kRows;

// Clears the rows beyond those of a text of S tokens, which are computed with them and thrown away: what another op has
// left there may be numbers too small to be normal, which take the processor many times as long.
FLES_INLINE void clear_unused_rows(float* rows, int S, int columns) {
  const int used = S < MR ? S : MR;
  __builtin_memset(rows + int64_t{used} * columns, 0, int64_t{kMostRows - used} * columns * sizeof *rows);
}

struct AttentionParts : Parts {
  size_t keys, values, query, scores, weights, bits;
  int columns, row_bits;  // of a row of scores: values, and bytes of its bits
  AttentionParts(int S, int D) {
    columns = round_up(S, NR);
    row_bits = columns / kDraws + kBlocks + 4;
    keys = take(int64_t{columns} * padded(D));            // [S / NR][padded(D)][NR]
    values = take(int64_t{round_up(D, NR)} * padded(S));  // [D / NR][padded(S)][NR]
    query = take(int64_t{MR} * padded(D));                // a block
    scores = take(int64_t{kMostRows} * columns);          // rows
    weights = take(int64_t{MR} * columns);                // a block: e^(score - largest)
    bits = take((kMostRows * row_bits + 3) / 4);
  }
};

static size_t attention_scratch(int S, int D) { return AttentionParts(S, D).total; }

// out = block x panels times a factor a row, added to what is there or not. A function of its own, that is not inlined:
// the tile needs every register.
struct BlockProduct {
  const float* block;  // (rows, K)
  const float* panels;
  int rows, columns, K;
  float* out;  // (rows, ld)
  int64_t ld;
  const float* factors;  // (rows)
  bool add;
};
static __attribute__((noinline)) void multiply_block(const BlockProduct& p) {
  for (int c = 0; c < p.columns; c += NR) {
    const int width = p.columns - c < NR ? p.columns - c : NR;
    tile_rows(p.rows, p.block, p.panels + int64_t{c} * p.K, p.K, NothingAhead{}, [&](int i, vf(&sums)[NV]) {
      float* to = p.out + i * p.ld + c;
      if (width == NR) {
        for (int j = 0; j < NV; ++j) {
          const vf scaled = sums[j] * p.factors[i];
          store(to + j * W, p.add ? load(to + j * W) + scaled : scaled);
        }
        return;
      }
      vf scaled[NV];  // a copy, since sums that a variable indexes would not stay in registers
      for (int j = 0; j < NV; ++j) scaled[j] = sums[j] * p.factors[i];
      store_row(to, scaled, width);
    });
  }
}

// The weight of a score, 2^(score - from), is taken to be at least this much: too little to count beside the largest,
// which is 1, and far from numbers that cost the processor time. What has no score, -infinity, gets it too, and is
// multiplied by zeros.
constexpr float kLeast = -100.0f;

// Largest of S scores; what stands beyond, up to a multiple of NR, becomes -infinity.
FLES_INLINE float largest_score(float* row, int S) {
  for (int j = S; j < round_up(S, NR); ++j) row[j] = -__builtin_inff();
  vf most[NV];
  for (int n = 0; n < NV; ++n) most[n] = load(row + n * W);
  for (int j = NR; j < S; j += NR) {
    for (int n = 0; n < NV; ++n) most[n] = max(most[n], load(row + j + n * W));
  }
  for (int n = 1; n < NV; ++n) most[0] = max(most[0], most[n]);
  return max_lanes(most[0]);
}

// Of rows of S scores, `ld` apart, 2^(score - largest), dropped or not, given to put(i, j, values) for rows i..i +
// kRows - 1 and columns j..j + W - 1; and the sum of each row before dropout. All rows side by side, since a row alone
// would wait for its last steps.
template <bool kDropout, class Put>
FLES_INLINE void softmax_rows(const float* scores, int64_t ld, int S, int rows, const float (&largest)[kMostRows],
                              const uint8_t* bits, int64_t bits_ld, Put&& put, float (&sums)[kMostRows]) {
  vf top[kMostRows], least[kMostRows], total[kMostRows];
  for (int i = 0; i < kMostRows; ++i) {
    top[i] = splat(largest[i]);
    least[i] = top[i] + kLeast;
    total[i] = vf{};
  }
  for (int j = 0; j < S; j += W) {
    for (int i = 0; i < rows; i += kRows) {
      vf x[kRows];
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) x[r] = max(least[i + r], load(scores + (i + r) * ld + j)) - top[i + r];
      exp2(x);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        total[i + r] += x[r];
        if constexpr (kDropout) {
          x[r] = reinterpret_cast<vf>(reinterpret_cast<vi>(x[r]) & kept_lanes(bits + (i + r) * bits_ld, j));
        }
      }
      put(i, j, x);
    }
  }
  for (int i = 0; i < rows; ++i) sums[i] = sum_lanes(total[i]);
}

static void attention_head(const AttentionHead& h) {
  const int S = h.S, D = h.D;
  const AttentionParts parts(S, D);
  const int64_t columns = parts.columns;
  float* keys = h.scratch + parts.keys;
  float* values = h.scratch + parts.values;
  float* query = h.scratch + parts.query;
  float* scores = h.scratch + parts.scores;
  float* weights = h.scratch + parts.weights;
  auto* bits = reinterpret_cast<uint8_t*>(h.scratch + parts.bits);
  const bool dropping = h.dropout.rate.cut > 0;
  const int blocks = round_up(S, kDraws) / kDraws;  // of draws a row
  float ones[MR], factors[MR];
  for (float& one : ones) one = 1.0f;

  const auto to_weights = [&](int i, int j, vf(&x)[kRows]) {
    store_block_rows(weights + int64_t{j} * MR + i * kGroup, x, MR - i);
  };

  clear_unused_rows(scores, S, parts.columns);
  pack_transposed_panels(h.k, S, h.ld, D, keys);
  pack_panels(h.v, S, h.ld, D, values);
  for (int first = 0, rows; first < S; first += rows) {
    const int left = S - first;
    rows = left == MR + 2 ? (MR + 2) / 2 : left < MR ? left : MR;  // two halves are faster than MR and 2
    pack_block(h.q + first * h.ld, rows, h.ld, D, h.scale * kLog2E, query);
    for (int i = rows; i < rows + MR && i < left; ++i) prefetch_row(h.q + (first + i) * h.ld, D);
    multiply_block({query, keys, rows, parts.columns, padded(D), scores, columns, ones, false});
    float largest[kMostRows] = {}, sums[kMostRows];
    for (int i = 0; i < rows; ++i) largest[i] = largest_score(scores + i * columns, S);
    if (dropping) {
      for (int i = 0; i < rows; ++i) {
        const uint64_t block = h.first_block + static_cast<uint64_t>(first + i) * blocks;
        keep_bits(h.dropout, block, 1, blocks, bits + i * parts.row_bits);
      }
      softmax_rows<true>(scores, columns, S, rows, largest, bits, parts.row_bits, to_weights, sums);
    } else {
      softmax_rows<false>(scores, columns, S, rows, largest, bits, parts.row_bits, to_weights, sums);
    }
    for (int i = 0; i < rows; ++i) {
      factors[i] = (dropping ? h.dropout.rate.scale : 1.0f) / sums[i];
      if (h.log_sums == nullptr) continue;
      h.log_sums[(first + i) * h.ld_log_sums] = largest[i] * kLn2 + __builtin_logf(sums[i]);
    }
    multiply_block({weights, values, rows, D, padded(S), h.out + first * h.ld_out, h.ld_out, factors, false});
  }
}
