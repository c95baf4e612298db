// One head of attention of one text by whole numbers of 16 bits: queries, keys, values and e^(score - largest) are
// rounded (int16.inl), scores and sums are float32. Without dropout and log sums: of inference alone. Included after
// attention.inl in the levels that have a dot product of such numbers.

struct Int16AttentionParts : Parts {
  size_t pairs, keys, values, query, scores, weights;
  int columns;  // S up to whole panels
  Int16AttentionParts(int S, int D) {
    const auto take_bytes = [&](int64_t bytes) { return take((bytes + 3) / 4); };
    columns = round_up(S, NR);
    pairs = take(int64_t{S} * round_up(D, NR) / 2);                    // (S, D up to whole panels) keys
    keys = take_bytes(columns / NR * Int16::panel_size(D));            // panels [S / NR]
    values = take_bytes(round_up(D, NR) / NR * Int16::panel_size(S));  // panels [D / NR]
    query = take_bytes(Int16::block_size(D));                          // a block
    scores = take(int64_t{kMostRows} * columns);                       // rows
    weights = take_bytes(Int16::block_size(S));                        // a block
  }
};

static size_t int16_attention_scratch(int S, int D) { return Int16AttentionParts(S, D).total; }

// The transpose of keys (S, ld) as panels; `pairs` is scratch.
static void pack_keys_int16(const float* in, int S, int64_t ld, int D, float* pairs, uint8_t* panels) {
  const int64_t row_size = round_up(D, NR), panel_size = Int16::panel_size(D);
  for (int s = 0; s < round_up(S, NR); ++s) {
    auto& stored = *reinterpret_cast<float*>(panels + s / NR * panel_size + s % NR * sizeof(float));
    stored = 0.0f;
    if (s >= S) continue;
    if (s + kAhead < S) prefetch_row(in + (s + kAhead) * ld, D);
    const Int16Scale scale(sum_of_squares(in + s * ld, D));
    stored = scale.scale;
    auto* to = reinterpret_cast<int16_t*>(pairs) + s * row_size;
    for (int d = 0; d < D; d += NR) {
      vf x[NV];
      load_row(in + s * ld + d, x, D - d < NR ? D - d : NR);
      for (int j = 0; j < NV; ++j) {
        const half_shorts rounded = int16_of(x[j], splat(scale.inverse));
        __builtin_memcpy(to + d + j * W, &rounded, sizeof rounded);
      }
    }
  }
  // Two neighbouring values of a row are moved as one of 32 bits.
  pack_transposed_panels(pairs, S, row_size / 2, padded_for<Int16>(D) / Int16::kStep, reinterpret_cast<float*>(panels),
                         Int16::kPanelHeader / sizeof(float));
}

static void int16_attention_head(const AttentionHead& h) {
  const int S = h.S, D = h.D;
  const Int16AttentionParts parts(S, D);
  const int64_t columns = parts.columns;
  const auto bytes = [&](size_t part) { return reinterpret_cast<uint8_t*>(h.scratch + part); };
  uint8_t *keys = bytes(parts.keys), *values = bytes(parts.values);
  uint8_t *query = bytes(parts.query), *weights = bytes(parts.weights);
  float* scores = h.scratch + parts.scores;

  clear_unused_rows(scores, S, parts.columns);
  pack_keys_int16(h.k, S, h.ld, D, h.scratch + parts.pairs, keys);
  for (int d = 0; d < D; d += NR) {
    pack_panel_int16(h.v + d, S, h.ld, D - d < NR ? D - d : NR, values + d / NR * Int16::panel_size(S));
  }
  const vf scale = splat(h.scale * kLog2E);
  for (int first = 0; first < S; first += MR) {
    const int rows = S - first < MR ? S - first : MR;
    pack_block_int16(h.q + first * h.ld, rows, h.ld, D, query);
    for (int i = first + rows; i < first + rows + MR && i < S; ++i) prefetch_row(h.q + i * h.ld, D);
    for (int column = 0; column < S; column += NR) {
      tile_rows<Int16>(rows, query, keys + column / NR * Int16::panel_size(D), padded_for<Int16>(D), NothingAhead{},
                       [&](int i, vf(&sums)[NV]) {
                         for (int j = 0; j < NV; ++j) store(scores + i * columns + column + j * W, sums[j] * scale);
                       });
    }
    float largest[kMostRows] = {}, sums[kMostRows];
    for (int i = 0; i < rows; ++i) largest[i] = largest_score(scores + i * columns, S);
    softmax_rows<false>(
        scores, columns, S, rows, largest, nullptr, 0,
        [&](int i, int j, vf(&x)[kRows]) {
          for (int r = 0; r < kRows && i + r < MR; ++r) store(scores + (i + r) * columns + j, x[r]);
        },
        sums);
    // Of weights, which are at most 1, the sum is at least the sum of their squares. Those of no key are rounded to 0.
    // They are divided by the sum of what they are rounded to: what vanishes beside the largest may be many.
    for (int i = 0; i < rows; ++i) {
      const Int16Scale rounding(sums[i]);
      vu whole = vu{};  // modulo 2^32, for what is not a number leaves any bits
      pack_row<Int16>(scores + i * columns, parts.columns, padded_for<Int16>(S),
                      reinterpret_cast<int16_t*>(weights + Int16::kBlockHeader) + i * Int16::kGroup, [&](vf x) {
                        const vi values = nearest(x, splat(rounding.inverse));
                        whole += reinterpret_cast<vu>(values);
                        return __builtin_convertvector(values, half_shorts);
                      });
      const float sum = rounding.scale * sum_lanes(__builtin_convertvector(reinterpret_cast<vi>(whole), vf));
      reinterpret_cast<float*>(weights)[i] = rounding.scale / sum;
    }
    for (int d = 0; d < D; d += NR) {
      tile_rows<Int16>(
          rows, weights, values + d / NR * Int16::panel_size(S), padded_for<Int16>(S), NothingAhead{},
          [&](int i, vf(&sums)[NV]) { store_row(h.out + (first + i) * h.ld_out + d, sums, D - d < NR ? D - d : NR); });
    }
  }
}
