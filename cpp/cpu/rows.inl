// Row-wise loops: sums of embeddings, LayerNorm, and one head of attention. Included after tile.inl.

static void add_rows(const float* a, const float* b, const float* c, float* out, int C) {
  for (int i = 0; i < C; ++i) out[i] = a[i] + b[i] + (c == nullptr ? 0.0f : c[i]);
}

static void layernorm_row(const float* in, const float* gamma, const float* beta, float* out, int C, float eps) {
  const int whole = C / W * W;
  vf sum = vf{};
  for (int i = 0; i < whole; i += W) sum += load(in + i);
  float total = sum_lanes(sum);
  for (int i = whole; i < C; ++i) total += in[i];
  const float mean = total / static_cast<float>(C);

  vf squares = vf{};
  for (int i = 0; i < whole; i += W) {
    const vf d = load(in + i) - mean;
    squares += d * d;
  }
  float variance = sum_lanes(squares);
  for (int i = whole; i < C; ++i) variance += (in[i] - mean) * (in[i] - mean);
  const float scale = 1.0f / __builtin_sqrtf(variance / static_cast<float>(C) + eps);

  for (int i = 0; i < whole; i += W) store(out + i, (load(in + i) - mean) * scale * load(gamma + i) + load(beta + i));
  for (int i = whole; i < C; ++i) out[i] = (in[i] - mean) * scale * gamma[i] + beta[i];
}

template <int M>
FLES_INLINE void gather_vectors(const GatherRows& g, int first) {
  vf sums[M];
#pragma GCC unroll 8
  for (int j = 0; j < M; ++j) sums[j] = load(g.out + first + j * W);
  for (int i = 0; i < g.count; ++i) {
    const float* row = g.in + g.rows[i] * g.ld + first;
    const float factor = g.factors[i];
#pragma GCC unroll 8
    for (int j = 0; j < M; ++j) sums[j] += factor * load(row + j * W);
  }
#pragma GCC unroll 8
  for (int j = 0; j < M; ++j) store(g.out + first + j * W, sums[j]);
}

static void gather_rows(const GatherRows& g) {
  int first = 0;
  for (; first + 8 * W <= g.C; first += 8 * W) gather_vectors<8>(g, first);
  for (; first + W <= g.C; first += W) gather_vectors<1>(g, first);
  for (; first < g.C; ++first) {
    for (int i = 0; i < g.count; ++i) g.out[first] += g.factors[i] * g.in[g.rows[i] * g.ld + first];
  }
}

static float dot(const float* a, const float* b, int count) {
  constexpr int kSums = 4;
  vf sums[kSums] = {};
  int i = 0;
  for (; i + kSums * W <= count; i += kSums * W) {
#pragma GCC unroll 4
    for (int j = 0; j < kSums; ++j) sums[j] += load(a + i + j * W) * load(b + i + j * W);
  }
  for (; i + W <= count; i += W) sums[0] += load(a + i) * load(b + i);
  float total = sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
  for (; i < count; ++i) total += a[i] * b[i];
  return total;
}

FLES_INLINE int round_up(int n, int step) { return (n + step - 1) / step * step; }

static size_t attention_scratch(int S, int D) {
  const size_t keys = static_cast<size_t>(round_up(S, NR)) * padded(D);    // [S / NR][D][NR]
  const size_t values = static_cast<size_t>(round_up(D, NR)) * padded(S);  // [D / NR][S][NR]
  const size_t block = static_cast<size_t>(MR) * (padded(D) + round_up(S, NR) + padded(S));
  return keys + values + block;
}

// Turns a row of S scores into probabilities; what stands beyond S, up to `padded`, is not used afterwards.
FLES_INLINE void softmax_row(float* scores, int S, int padded) {
  for (int j = S; j < padded; ++j) scores[j] = -__builtin_inff();
  vf largest = load(scores);
  for (int j = W; j < padded; j += W) largest = max(largest, load(scores + j));
  const float top = max_lanes(largest);
  vf sum = vf{};
  for (int j = 0; j < padded; j += W) {
    const vf e = exp(load(scores + j) - top);
    store(scores + j, e);
    if (j + W <= S) sum += e;
  }
  float total = sum_lanes(sum);
  for (int j = S / W * W; j < S; ++j) total += scores[j];
  const vf scale = splat(1.0f / total);
  for (int j = 0; j < padded; j += W) store(scores + j, load(scores + j) * scale);
}

static void attention_head(const AttentionHead& h) {
  const int S = h.S;
  const int D = h.D;
  const int64_t columns = round_up(S, NR);
  const int64_t inner = padded(D);
  float* keys = h.scratch;
  float* values = keys + columns * inner;
  float* query = values + static_cast<int64_t>(round_up(D, NR)) * padded(S);
  float* scores = query + MR * inner;
  float* weights = scores + MR * columns;

  for (int p = 0; p < S; p += NR) {
    float* panel = keys + p * inner;
    for (int j = 0; j < NR; ++j) {
      const float* row = h.k + (p + j) * h.ld;
      for (int d = 0; d < D; ++d) panel[d * NR + j] = p + j < S ? row[d] : 0.0f;
      for (int d = D; d < inner; ++d) panel[d * NR + j] = 0.0f;
    }
  }
  for (int d = 0; d < D; d += NR) {
    float* panel = values + static_cast<int64_t>(d) * padded(S);
    const int width = D - d < NR ? D - d : NR;
    for (int s = 0; s < padded(S); ++s) {
      const float* row = h.v + s * h.ld + d;
      for (int j = 0; j < NR; ++j) panel[s * NR + j] = s < S && j < width ? row[j] : 0.0f;
    }
  }
  for (int first = 0; first < S; first += MR) {
    const int rows = S - first < MR ? S - first : MR;
    pack_block(h.q + first * h.ld, rows, h.ld, D, h.scale, query);
    for (int p = 0; p < S; p += NR) {
      tile_rows(rows, query, keys + p * inner, padded(D),
                [&](int i, vf(&sums)[NV]) { store_row(scores + i * columns + p, sums, NR); });
    }
    for (int i = 0; i < rows; ++i) softmax_row(scores + i * columns, S, static_cast<int>(columns));
    pack_block(scores, rows, columns, S, 1.0f, weights);
    for (int d = 0; d < D; d += NR) {
      const int width = D - d < NR ? D - d : NR;
      tile_rows(rows, weights, values + static_cast<int64_t>(d) * padded(S), padded(S),
                [&](int i, vf(&sums)[NV]) { store_row(h.out + (first + i) * h.ld_out + d, sums, width); });
    }
  }
}
