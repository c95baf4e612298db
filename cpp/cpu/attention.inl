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

// GCC before 12 has no __builtin_shufflevector, Clang no __builtin_shuffle.
#if defined(__clang__)
#define FLES_SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
typedef int32_t group_order __attribute__((vector_size(16)));
#define FLES_SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, group_order{i, j, k, l})
#endif

FLES_INLINE void store_group(float* p, group x) { *reinterpret_cast<group_unaligned*>(p) = x; }

FLES_INLINE void transpose(group (&x)[kGroup]) {
  const group a = FLES_SHUFFLE(x[0], x[1], 0, 4, 1, 5), b = FLES_SHUFFLE(x[0], x[1], 2, 6, 3, 7);
  const group c = FLES_SHUFFLE(x[2], x[3], 0, 4, 1, 5), d = FLES_SHUFFLE(x[2], x[3], 2, 6, 3, 7);
  x[0] = FLES_SHUFFLE(a, c, 0, 1, 4, 5);
  x[1] = FLES_SHUFFLE(a, c, 2, 3, 6, 7);
  x[2] = FLES_SHUFFLE(b, d, 0, 1, 4, 5);
  x[3] = FLES_SHUFFLE(b, d, 2, 3, 6, 7);
}

// Rows of a head lie too far apart for the processor to foresee: they are asked for kAhead rows before their use.
constexpr int kAhead = 8;
FLES_INLINE void prefetch_row(const float* row, int columns) {
  for (int c = 0; c < columns; c += 16) __builtin_prefetch(row + c);
  __builtin_prefetch(row + columns - 1);
}

// Calls put(r, c, values) with values r..r+3 of column c of a matrix (rows, ld), for r in steps of 4 and every c;
// values beyond the last row are 0.
template <class Put>
FLES_INLINE void transpose_groups(const float* in, int rows, int64_t ld, int columns, Put&& put) {
  for (int r = 0; r < rows; r += kGroup) {
    for (int g = 0; g < kGroup; ++g) {
      if (r + kAhead + g < rows) prefetch_row(in + (r + kAhead + g) * ld, columns);
    }
    const float* from[kGroup];
    for (int g = 0; g < kGroup; ++g) from[g] = in + (r + g < rows ? r + g : rows - 1) * ld;
    const int whole = rows - r < kGroup ? 0 : columns / kGroup * kGroup;
    for (int c = 0; c < whole; c += kGroup) {
      group x[kGroup];
#pragma GCC unroll 4
      for (int g = 0; g < kGroup; ++g) x[g] = *reinterpret_cast<const group_unaligned*>(from[g] + c);
      transpose(x);
#pragma GCC unroll 4
      for (int g = 0; g < kGroup; ++g) put(r, c + g, x[g]);
    }
    for (int c = whole; c < columns; ++c) {
      group x = {};
      for (int g = 0; g < kGroup && r + g < rows; ++g) x[g] = from[g][c];
      put(r, c, x);
    }
  }
}

// The transpose of (S, ld), D columns, as panels [S / NR][padded(D)][NR], zero beyond S and D.
static void pack_transposed_panels(const float* in, int S, int64_t ld, int D, float* panels) {
  const int64_t inner = padded(D);
  for (int s = 0; s < S; s += NR) {
    float* panel = panels + s * inner;
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

// The groups of a row's vector in a block, whose rows stand kGroup apart: `place` is where the first group goes.
FLES_INLINE void store_groups(float* place, vf x) {
  const auto* groups = reinterpret_cast<const group_unaligned*>(&x);
  for (int g = 0; g < W / kGroup; ++g) store_group(place + g * MR * kGroup, groups[g]);
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
    scores = take(int64_t{MR} * columns);                 // rows
    weights = take(int64_t{MR} * columns);                // a block: e^(score - largest)
    bits = take((2 * row_bits + 3) / 4);                  // of two rows
  }
};

static size_t attention_scratch(int S, int D) { return AttentionParts(S, D).total; }

// Largest lane, and the sum of lanes in one fixed order.
FLES_INLINE float largest_lane(vf x) {
  const auto* groups = reinterpret_cast<const group_unaligned*>(&x);
  group m = groups[0];
  for (int g = 1; g < W / kGroup; ++g) m = m > groups[g] ? m : groups[g];
  const float a = m[0] > m[1] ? m[0] : m[1], b = m[2] > m[3] ? m[2] : m[3];
  return a > b ? a : b;
}
FLES_INLINE float total_of_lanes(vf x) {
  const auto* groups = reinterpret_cast<const group_unaligned*>(&x);
  group sum = groups[0];
  for (int g = 1; g < W / kGroup; ++g) sum += groups[g];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

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
    tile_rows(p.rows, p.block, p.panels + int64_t{c} * p.K, p.K, [&](int i, vf(&sums)[NV]) {
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

// Two rows of S scores, `ld` apart and a multiple of NR long, to 2^(score - largest), dropped or not, in two rows of a
// block from `place` on; and the largest and the sum of each row before dropout.
template <bool kDropout>
FLES_INLINE void softmax_rows(float* scores, int64_t ld, int S, const uint8_t* const (&bits)[2], float* place,
                              float (&largest)[2], float (&sums)[2]) {
  constexpr int N = 2 * NV;
  vf top[2], least[2], total[N] = {};
  for (int r = 0; r < 2; ++r) {
    float* row = scores + r * ld;
    for (int j = S; j < round_up(S, NR); ++j) row[j] = -__builtin_inff();
    vf most[NV];
    for (int n = 0; n < NV; ++n) most[n] = load(row + n * W);
    for (int j = NR; j < S; j += NR) {
      for (int n = 0; n < NV; ++n) most[n] = max(most[n], load(row + j + n * W));
    }
    for (int n = 1; n < NV; ++n) most[0] = max(most[0], most[n]);
    largest[r] = largest_lane(most[0]);
    top[r] = splat(largest[r]);
    least[r] = top[r] + kLeast;
  }
  for (int j = 0; j < S; j += NR) {
    vf x[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) x[n] = max(least[n / NV], load(scores + n / NV * ld + j + n % NV * W)) - top[n / NV];
    exp2(x);
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      const int column = j + n % NV * W;
      total[n] += x[n];
      if constexpr (kDropout) {
        x[n] = reinterpret_cast<vf>(reinterpret_cast<vi>(x[n]) & kept_lanes(bits[n / NV], column));
      }
      store_groups(place + n / NV * kGroup + int64_t{column} * MR, x[n]);
    }
  }
  for (int r = 0; r < 2; ++r) {
    for (int n = 1; n < NV; ++n) total[r * NV] += total[r * NV + n];
    sums[r] = total_of_lanes(total[r * NV]);
  }
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
  const uint8_t* const row_bits[2] = {bits, bits + parts.row_bits};
  const bool dropping = h.dropout.rate.cut > 0;
  const int blocks = round_up(S, kDraws) / kDraws;  // of draws a row
  float ones[MR], factors[MR];
  for (float& one : ones) one = 1.0f;

  pack_transposed_panels(h.k, S, h.ld, D, keys);
  pack_panels(h.v, S, h.ld, D, values);
  for (int first = 0, rows; first < S; first += rows) {
    const int left = S - first;
    rows = left == MR + 2 ? (MR + 2) / 2 : left < MR ? left : MR;  // two halves are faster than MR and 2
    pack_block(h.q + first * h.ld, rows, h.ld, D, h.scale * kLog2E, query);
    for (int i = rows; i < rows + MR && i < left; ++i) prefetch_row(h.q + (first + i) * h.ld, D);
    multiply_block({query, keys, rows, parts.columns, padded(D), scores, columns, ones, false});
    for (int i = 0; i < rows; i += 2) {
      // The second row of an odd last pair is any numbers.
      const int count = i + 1 < rows ? 2 : 1;
      float largest[2], sums[2];
      if (dropping) {
        for (int r = 0; r < count; ++r) {
          const uint64_t block = h.first_block + static_cast<uint64_t>(first + i + r) * blocks;
          keep_bits(h.dropout, block, 1, blocks, bits + r * parts.row_bits);
        }
        softmax_rows<true>(scores + i * columns, columns, S, row_bits, weights + i * kGroup, largest, sums);
      } else {
        softmax_rows<false>(scores + i * columns, columns, S, row_bits, weights + i * kGroup, largest, sums);
      }
      for (int r = 0; r < count; ++r) {
        factors[i + r] = (dropping ? h.dropout.rate.scale : 1.0f) / sums[r];
        if (h.log_sums == nullptr) continue;
        h.log_sums[(first + i + r) * h.ld_log_sums] = largest[r] * kLn2 + __builtin_logf(sums[r]);
      }
    }
    multiply_block({weights, values, rows, D, padded(S), h.out + first * h.ld_out, h.ld_out, factors, false});
  }
}
