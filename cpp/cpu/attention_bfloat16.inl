// One head of attention of one text by tiles of bfloat16: queries, keys, values and e^(score - largest) are rounded,
// scores and sums are float32. Without dropout and log sums: of inference alone. Included after attention.inl in the
// level that has AMX.

struct Bfloat16AttentionParts : Parts {
  size_t pairs, keys, values, query, scores, weights;
  int depth, rows;  // D and S up to whole groups
  Bfloat16AttentionParts(int S, int D) {
    depth = padded_for<Bfloat16>(D);
    rows = padded_for<Bfloat16>(S);
    pairs = take(int64_t{S} * depth / 2);                // (S, depth) keys
    keys = take(int64_t{rows} * depth / 2);              // panels [S / NR][depth / 2][NR][2]
    values = take(int64_t{round_up(D, NR)} * rows / 2);  // panels [D / NR][rows / 2][NR][2]
    query = take(int64_t{Bfloat16::kMR} * depth / 2);    // a block
    scores = take(int64_t{Bfloat16::kMR} * rows);        // rows
    weights = take(int64_t{Bfloat16::kMR} * rows / 2);   // a block
  }
};

static size_t bfloat16_attention_scratch(int S, int D) { return Bfloat16AttentionParts(S, D).total; }

// W values, of which `count` exist.
FLES_INLINE void store_bfloat16(uint16_t* to, const float* from, int count) {
  vf x = vf{};
  if (count >= W) {
    x = load(from);
  } else {
    for (int i = 0; i < count; ++i) x[i] = from[i];
  }
  const auto narrow = __builtin_convertvector(round_bfloat16(x) >> 16, half_shorts);
  __builtin_memcpy(to, &narrow, sizeof narrow);
}

// Row i of a block of 2^(score - largest); returns its sum.
FLES_INLINE float softmax_row(float* scores, int S, int i, uint16_t* block) {
  const vf top = splat(largest_score(scores, S));
  const vf least = top + kLeast;
  vf total = vf{};
  for (int j = 0; j < S; j += NR) {
    vf x[NV];
    for (int n = 0; n < NV; ++n) x[n] = max(least, load(scores + j + n * W)) - top;
    exp2(x);
    uint16_t* to = block + (int64_t{j} * Bfloat16::kMR + i * Bfloat16::kGroup);
    for (int n = 0; n < NV; ++n) {
      total += x[n];
      const auto narrow = __builtin_convertvector(round_bfloat16(x[n]) >> 16, half_shorts);
      __builtin_memcpy(to + n * W, &narrow, sizeof narrow);
    }
  }
  return sum_lanes(total);
}

static void bfloat16_attention_head(const AttentionHead& h) {
  static_assert(NR == Bfloat16::kGroup, "a group of weights is a panel of keys");
  const TileRegisters registers;
  const int S = h.S, D = h.D;
  const Bfloat16AttentionParts parts(S, D);
  const int depth = parts.depth;
  auto* pairs = reinterpret_cast<uint16_t*>(h.scratch + parts.pairs);
  const float* keys = h.scratch + parts.keys;
  const auto* panels = reinterpret_cast<const uint16_t*>(keys);
  auto* values = reinterpret_cast<uint16_t*>(h.scratch + parts.values);
  auto* query = reinterpret_cast<uint16_t*>(h.scratch + parts.query);
  float* scores = h.scratch + parts.scores;
  auto* weights = reinterpret_cast<uint16_t*>(h.scratch + parts.weights);

  for (int s = 0; s < S; ++s) {
    if (s + kAhead < S) prefetch_row(h.k + (s + kAhead) * h.ld, D);
    for (int d = 0; d < depth; d += W) store_bfloat16(pairs + int64_t{s} * depth + d, h.k + s * h.ld + d, D - d);
  }
  // Two neighbouring values of a row are moved as one of 32 bits.
  pack_transposed_panels(h.scratch + parts.pairs, S, depth / 2, depth / 2, h.scratch + parts.keys);
  for (int d = 0; d < D; d += NR) {
    pack_panel_bfloat16(h.v + d, S, h.ld, D - d < NR ? D - d : NR, values + int64_t{d} * parts.rows);
  }
  const vf scale = splat(h.scale * kLog2E);
  for (int first = 0; first < S; first += Bfloat16::kMR) {
    const int rows = S - first < Bfloat16::kMR ? S - first : Bfloat16::kMR;
    pack_block_bfloat16(h.q + first * h.ld, rows, h.ld, D, query);
    for (int column = 0; column < S; column += NR) {
      tile_rows<Bfloat16>(rows, query, panels + int64_t{column} * depth, depth, NothingAhead{},
                          [&](int i, vf(&sums)[NV]) {
                            float* to = scores + int64_t{i} * parts.rows + column;
                            for (int j = 0; j < NV; ++j) store(to + j * W, sums[j] * scale);
                          });
    }
    float factors[Bfloat16::kMR];
    for (int i = 0; i < rows; ++i) factors[i] = 1.0f / softmax_row(scores + int64_t{i} * parts.rows, S, i, weights);
    for (int d = 0; d < D; d += NR) {
      tile_rows<Bfloat16>(rows, weights, values + int64_t{d} * parts.rows, parts.rows, NothingAhead{},
                          [&](int i, vf(&sums)[NV]) {
                            for (int j = 0; j < NV; ++j) sums[j] *= factors[i];
                            store_row(h.out + (first + i) * h.ld_out + d, sums, D - d < NR ? D - d : NR);
                          });
    }
  }
}
