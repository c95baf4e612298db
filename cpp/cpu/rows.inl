// Row-wise loops: sums of embeddings and LayerNorm. Included after simd.inl.

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

static double exp_row(const float* in, float shift, float* out, int count) {
  constexpr int kPart = 1024;  // summed in float32 before it joins the double
  double total = 0;
  for (int first = 0; first < count; first += kPart) {
    const int last = first + kPart < count ? first + kPart : count;
    vf sum = vf{};
    int i = first;
    for (; i + W <= last; i += W) {
      const vf x = load(in + i) - shift;
      const vf e = exp(x);
      store(out + i, e);
      sum += e + (x - x);
    }
    total += sum_lanes(sum);
    for (; i < last; ++i) {
      const float x = in[i] - shift;
      out[i] = exp(splat(x))[0];
      total += out[i] + (x - x);
    }
  }
  return total;
}
