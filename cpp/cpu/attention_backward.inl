// Gradients of one head of attention of one text. Included after attention.inl.
//
// Scores, probabilities and their gradients are formed transposed, a block of MR keys by all queries: so the vectors of
// a row run over queries, whose log sums are vectors too, and d_k and d_v of those keys are whole sums at once. d_q,
// which sums over keys, is added up transposed, some blocks of keys at a time.

// Keys whose gradients of scores are kept at once: 128 KiB of them, whole blocks.
FLES_INLINE int keys_at_once(int S) {
  constexpr int kStep = kGroup * MR;  // whole blocks of keys, whole groups, whole blocks of draws
  static_assert(kStep % kDraws == 0);
  const int most = (128 << 10) / 4 / S / kStep * kStep;
  const int all = round_up(S, kStep);
  return all < most ? all : most < kStep ? kStep : most;
}

struct AttentionBackwardParts : Parts {
  size_t queries, queries_t, d_outs, d_outs_t, keys_t, log_sums, products, key, value, scores, d_weights, weight_block,
      score_block, score_panels, d_queries, bits;
  int columns, keys;
  AttentionBackwardParts(int S, int D) {
    columns = round_up(S, NR);
    keys = keys_at_once(S);
    const int64_t panels = int64_t{round_up(D, NR)} * padded(S), panels_t = int64_t{columns} * padded(D);
    queries = take(panels);                                             // [D / NR][padded(S)][NR]
    d_outs = take(panels);                                              // likewise
    queries_t = take(panels_t);                                         // [S / NR][padded(D)][NR]
    d_outs_t = take(panels_t);                                          // likewise
    keys_t = take(int64_t{round_up(D, MR)} * keys);                     // [D / MR][keys / 4][MR][4]
    log_sums = take(columns);                                           // in log2
    products = take(columns);                                           // of out and d_out
    key = take(int64_t{MR} * padded(D));                                // a block
    value = take(int64_t{MR} * padded(D));                              // a block
    scores = take(int64_t{kMostRows} * columns);                        // rows
    d_weights = take(int64_t{kMostRows} * columns);                     // rows
    weight_block = take(int64_t{MR} * columns);                         // a block: probabilities after dropout
    score_block = take(int64_t{MR} * columns);                          // a block: gradients of scores
    score_panels = take(int64_t{columns} * keys);                       // [S / NR][keys][NR]: the same
    d_queries = take(int64_t{D} * columns);                             // (D, columns)
    bits = take(int64_t{columns} * (keys / kDraws + 1) / 4 + kBlocks);  // [keys / 8 + 1][columns]: kMostRows are read
  }
};

static size_t attention_backward_scratch(int S, int D) { return AttentionBackwardParts(S, D).total; }

// W bytes as integers.
FLES_INLINE vi lanes_of(const uint8_t* bytes) {
  typedef uint8_t vb __attribute__((vector_size(W), aligned(1), may_alias));
  return __builtin_convertvector(*reinterpret_cast<const vb*>(bytes), vi);
}

// A block of keys by all queries.
struct GradientBlock {
  int rows, S, key;                  // key: the block's first
  const float *scores, *d_weights;   // (MR, columns) of the products
  const float *log_sums, *products;  // (columns)
  const uint8_t* bits;               // [8 keys][columns], from key 0 on
  int64_t columns, depth;
  float* weight_block;  // probabilities after dropout
  float* score_block;   // gradients of scores
  float* score_panels;  // the same in panels [S / NR][depth][NR]
};

template <bool kDropout>
static void gradient_block(const GradientBlock& b) {
  for (int64_t column = 0; column < b.S; column += W) {
    const vf log_sum = load(b.log_sums + column), least = log_sum + kLeast, product = load(b.products + column);
    float* panel = b.score_panels + column / NR * NR * b.depth + column % NR;
    for (int i = 0; i < b.rows; i += kRows) {
      vf probability[kRows], weight[kRows], d_score[kRows];
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        probability[r] = max(least, load(b.scores + (i + r) * b.columns + column)) - log_sum;
      }
      exp2(probability);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const int key = b.key + i + r;
        weight[r] = probability[r];
        vf d_weight = load(b.d_weights + (i + r) * b.columns + column);
        if constexpr (kDropout) {
          const vi kept = (lanes_of(b.bits + key / kDraws * b.columns + column) & (1 << key % kDraws)) != 0;
          weight[r] = reinterpret_cast<vf>(reinterpret_cast<vi>(weight[r]) & kept);
          d_weight = reinterpret_cast<vf>(reinterpret_cast<vi>(d_weight) & kept);
        }
        d_score[r] = probability[r] * (d_weight - product);
        if (i + r < b.rows) store(panel + int64_t{key} * NR, d_score[r]);
      }
      const int64_t place = column * MR + i * kGroup;
      store_block_rows(b.weight_block + place, weight, MR - i);
      store_block_rows(b.score_block + place, d_score, MR - i);
    }
  }
}

static void attention_backward_head(const AttentionBackwardHead& h) {
  const int S = h.S, D = h.D;
  const AttentionBackwardParts parts(S, D);
  const int64_t columns = parts.columns;
  float* queries = h.scratch + parts.queries;
  float* queries_t = h.scratch + parts.queries_t;
  float* d_outs = h.scratch + parts.d_outs;
  float* d_outs_t = h.scratch + parts.d_outs_t;
  float* keys_t = h.scratch + parts.keys_t;
  float* log_sums = h.scratch + parts.log_sums;
  float* products = h.scratch + parts.products;
  float* key = h.scratch + parts.key;
  float* value = h.scratch + parts.value;
  float* scores = h.scratch + parts.scores;
  float* d_weights = h.scratch + parts.d_weights;
  float* weight_block = h.scratch + parts.weight_block;
  float* score_block = h.scratch + parts.score_block;
  float* score_panels = h.scratch + parts.score_panels;
  float* d_queries = h.scratch + parts.d_queries;
  auto* bits = reinterpret_cast<uint8_t*>(h.scratch + parts.bits);
  const bool dropping = h.dropout.rate.cut > 0;
  const float kept_scale = dropping ? h.dropout.rate.scale : 1.0f;
  float ones[MR], kept_scales[MR], scales[MR];
  for (int i = 0; i < MR; ++i) ones[i] = 1.0f, kept_scales[i] = kept_scale, scales[i] = h.scale;

  clear_unused_rows(scores, S, parts.columns);
  clear_unused_rows(d_weights, S, parts.columns);
  pack_panels(h.q, S, h.ld, D, queries);
  pack_panels(h.d_out, S, h.ld_out, D, d_outs);
  pack_transposed_panels(h.q, S, h.ld, D, queries_t);
  pack_transposed_panels(h.d_out, S, h.ld_out, D, d_outs_t);
  for (int i = 0; i < S; ++i) {
    if (i + kAhead < S) prefetch_row(h.out + (i + kAhead) * h.ld_out, D);
    log_sums[i] = h.log_sums[i * h.ld_log_sums] * kLog2E;
    products[i] = dot(h.out + i * h.ld_out, h.d_out + i * h.ld_out, D);
  }
  for (int64_t i = S; i < columns; ++i) log_sums[i] = products[i] = 0.0f;  // queries of zeros: they add nothing

  for (int from = 0; from < S; from += parts.keys) {
    const int count = S - from < parts.keys ? S - from : parts.keys;
    const int64_t depth = padded(count);
    for (int j = 0; dropping && j < count; j += kDraws) {
      const uint64_t blocks = round_up(S, kDraws) / kDraws;  // of a row
      keep_bits(h.dropout, h.first_block + (from + j) / kDraws, blocks, S, bits + j / kDraws * columns);
    }
    for (int first = 0; first < count; first += MR) {
      const int rows = count - first < MR ? count - first : MR;
      const int64_t place = (from + first) * h.ld;
      pack_block(h.k + place, rows, h.ld, D, h.scale * kLog2E, key);
      pack_block(h.v + place, rows, h.ld, D, kept_scale, value);
      for (int i = MR; i < 2 * MR && from + first + i < S; ++i) {
        prefetch_row(h.k + place + i * h.ld, D);
        prefetch_row(h.v + place + i * h.ld, D);
      }
      multiply_block({key, queries_t, rows, parts.columns, padded(D), scores, columns, ones, false});
      multiply_block({value, d_outs_t, rows, parts.columns, padded(D), d_weights, columns, ones, false});
      const GradientBlock block = {rows, S,       first, scores,       d_weights,   log_sums,    products,
                                   bits, columns, depth, weight_block, score_block, score_panels};
      if (dropping) {
        gradient_block<true>(block);
      } else {
        gradient_block<false>(block);
      }
      multiply_block({weight_block, d_outs, rows, D, padded(S), h.d_v + place, h.ld, kept_scales, false});
      multiply_block({score_block, queries, rows, D, padded(S), h.d_k + place, h.ld, scales, false});
    }
    transpose_groups(h.k + from * h.ld, count, h.ld, D, [&](int r, int d, group x) {
      store_group(keys_t + d / MR * MR * depth + r * MR + d % MR * kGroup, x);
    });
    for (int64_t p = 0; p < S; p += NR) {
      for (int64_t i = int64_t{count} * NR; i < depth * NR; ++i) score_panels[p * depth + i] = 0.0f;
    }
    if (round_up(S, W) < columns) {  // half of the last panel was not written, and is multiplied too
      float* half = score_panels + (columns - NR) * depth + W;
      for (int64_t i = 0; i < count; ++i) store(half + i * NR, vf{});
    }
    for (int d = 0; d < D; d += MR) {
      multiply_block({keys_t + d * depth, score_panels, D - d < MR ? D - d : MR, parts.columns, static_cast<int>(depth),
                      d_queries + d * columns, columns, scales, from > 0});
    }
  }
  transpose_groups(d_queries, D, columns, S, [&](int d, int i, group x) {
    float* to = h.d_q + i * h.ld + d;
    if (D - d >= kGroup) return store_group(to, x);
    for (int g = 0; g < D - d; ++g) to[g] = x[g];
  });
}
