// Element-wise loops of training, which memory bounds. Included after random.inl.

// Vectors of which the last may be a part: n of W values.
FLES_INLINE vf load(const float* p, int n, float rest = 0.0f) {
  if (n == W) return load(p);
  vf x = splat(rest);
  for (int i = 0; i < n; ++i) x[i] = p[i];
  return x;
}
FLES_INLINE void store(float* p, vf x, int n) {
  if (n == W) return store(p, x);
  for (int i = 0; i < n; ++i) p[i] = x[i];
}

// step(i, n) for the vectors of `count` values: n is W, but for the last.
template <class Step>
FLES_INLINE void for_vectors(int64_t count, Step&& step) {
  int64_t i = 0;
  for (; i + W <= count; i += W) step(i, W);
  if (i < count) step(i, static_cast<int>(count - i));
}

// Sum over the vectors of `count` values of term(i, n), whose lanes beyond n must be 0.
template <class Term>
FLES_INLINE float sum_of(int count, Term&& term) {
  constexpr int kSums = 4;  // as many as hide the latency of an addition
  vf sums[kSums] = {};
  int i = 0;
  for (; i + kSums * W <= count; i += kSums * W) {
#pragma GCC unroll 4
    for (int j = 0; j < kSums; ++j) sums[j] += term(i + j * W, W);
  }
  for (; i < count; i += W) sums[0] += term(i, count - i < W ? count - i : W);
  return sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

static void dropout_values(const DropoutValues& d) {
  const auto residual = [&](int64_t i, int n) __attribute__((always_inline)) {
    return d.residual == nullptr ? vf{} : load(d.residual + i, n);
  };
  if (d.dropout.rate.cut == 0) {
    return for_vectors(d.count, [&](int64_t i, int n) __attribute__((always_inline)) {
      store(d.out + i, residual(i, n) + load(d.in + i, n), n);
    });
  }
  constexpr int kChunk = 2048;
  uint8_t bits[kChunk / kDraws + kBlocks + 4];
  for (int64_t done = 0; done < d.count; done += kChunk) {
    const int count = static_cast<int>(d.count - done < kChunk ? d.count - done : kChunk);
    const uint64_t index = d.index + static_cast<uint64_t>(done);
    const int skip = static_cast<int>(index % kDraws);
    keep_bits(d.dropout, index / kDraws, 1, (skip + count + kDraws - 1) / kDraws, bits);
    for_vectors(count, [&](int64_t i, int n) __attribute__((always_inline)) {
      const vf kept = reinterpret_cast<vf>(reinterpret_cast<vi>(load(d.in + done + i, n) * d.dropout.rate.scale) &
                                           kept_lanes(bits, skip + static_cast<int>(i)));
      store(d.out + done + i, residual(done + i, n) + kept, n);
    });
  }
}

static void layernorm_gradients(const LayernormGradients& a) {
  const auto columns = static_cast<float>(a.C);
  const float mean =
      sum_of(a.C, [&](int i, int n) __attribute__((always_inline)) { return load(a.in + i, n); }) / columns;
  const float squares = sum_of(a.C, [&](int i, int n) __attribute__((always_inline)) {
    const vf x = load(a.in + i, n, mean) - mean;
    return x * x;
  });
  const float scale = 1.0f / __builtin_sqrtf(squares / columns + a.eps);

  vf sum = vf{};  // of g, which waits in d_in; the products are those with the normalised row
  const float products = sum_of(a.C, [&](int i, int n) __attribute__((always_inline)) {
    const vf d = load(a.d_out + i, n);
    const vf x = (load(a.in + i, n) - mean) * scale;
    store(a.d_beta + i, load(a.d_beta + i, n) + d, n);
    store(a.d_gamma + i, load(a.d_gamma + i, n) + d * x, n);
    const vf g = d * load(a.gamma + i, n);
    store(a.d_in + i, g, n);
    sum += g;
    return g * x;
  });
  const float mean_g = sum_lanes(sum) / columns;
  const float mean_gx = products / columns;
  for_vectors(a.C, [&](int64_t i, int n) __attribute__((always_inline)) {
    const vf x = (load(a.in + i, n) - mean) * scale;
    store(a.d_in + i, (load(a.d_in + i, n) - mean_g - x * mean_gx) * scale, n);
  });
}

static void activations(const float* in, float* out, int64_t count, int activation) {
  for_vectors(count, [&](int64_t i, int n)
                         __attribute__((always_inline)) { store(out + i, activate(load(in + i, n), activation), n); });
}

// x Phi(x), Phi the normal distribution: Phi(x) + x phi(x).
FLES_INLINE vf gelu_slope(vf x) {
  const vf tail = normal_tail(max(x, -x));
  const vf phi = x < 0.0f ? tail : 1.0f - tail;
  const vf bell = exp(-0.5f * (x * x));
  return phi + x * bell * 0.39894228f;
}

// x s(x) with s = 1 / (1 + e^-2y), y the argument of the tanh: s + 2 x y' s (1 - s).
FLES_INLINE vf gelu_new_slope(vf x) {
  const vf square = x * x;
  const vf e = exp(1.5957691f * (x + 0.044715f * square * x));
  const vf r = 1.0f / (e + 1.0f);
  const vf s = e * r;
  return s + x * (1.5957691f + 0.21406454f * square) * s * r;
}

FLES_INLINE vf slope(vf x, int activation) {
  switch (activation) {
    case 1:
      return gelu_slope(x);
    case 2:
      return gelu_new_slope(x);
    case 3:
      return x > 0.0f ? splat(1.0f) : vf{};
    default:
      return splat(1.0f);
  }
}

static void activation_gradients(const float* in, const float* d_out, float* d_in, int64_t count, int activation) {
  for_vectors(count, [&](int64_t i, int n) __attribute__((always_inline)) {
    store(d_in + i, load(d_out + i, n) * slope(load(in + i, n), activation), n);
  });
}

static void add_chosen(const float* rows, int64_t ld, const int32_t* chosen, int64_t count, float* sum, int C) {
  for (int64_t k = 0; k < count; ++k) {
    const float* row = rows + (chosen == nullptr ? k : chosen[k]) * ld;
    for_vectors(C, [&](int64_t i, int n)
                       __attribute__((always_inline)) { store(sum + i, load(sum + i, n) + load(row + i, n), n); });
  }
}

FLES_INLINE vf sqrt(vf x) {
  for (int i = 0; i < W; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
}

// Values too small for a normal number become 0: the moments of rows without gradients decay, and arithmetic with
// denormal numbers is slow on many processors.
FLES_INLINE vf flush(vf x) { return max(x, -x) < 1.17549435e-38f ? vf{} : x; }

static void adamw(const AdamwUpdate& a) {
  const float rate = a.rate / a.correction1;
  const float decay = a.rate * a.decay;
  const float correction = 1.0f / __builtin_sqrtf(a.correction2);
  const auto rest1 = static_cast<float>(1.0 - static_cast<double>(a.beta1));
  const auto rest2 = static_cast<float>(1.0 - static_cast<double>(a.beta2));
  for_vectors(a.count, [&](int64_t i, int n) __attribute__((always_inline)) {
    const vf g = load(a.gradient + i, n) * a.scale;
    const vf first = flush(load(a.first + i, n) * a.beta1 + g * rest1);
    const vf second = flush(load(a.second + i, n) * a.beta2 + g * g * rest2);
    const vf p = load(a.parameter + i, n);
    store(a.first + i, first, n);
    store(a.second + i, second, n);
    store(a.parameter + i, p - (p * decay + rate * first / (sqrt(second) * correction + a.eps)), n);
  });
}

typedef double vd __attribute__((vector_size(FLES_VECTOR_BYTES)));
typedef float vf_half __attribute__((vector_size(FLES_VECTOR_BYTES / 2)));

static double squares(const float* in, int64_t count) {
  vd sums[4] = {};
  const auto add = [](vd& sum, const float* p) __attribute__((always_inline)) {
    vf_half half;
    __builtin_memcpy(&half, p, sizeof half);
    const vd x = __builtin_convertvector(half, vd);
    sum += x * x;
  };
  int64_t i = 0;
  for (; i + 2 * W <= count; i += 2 * W) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) add(sums[j], in + i + j * (W / 2));
  }
  double rest = 0;
  for (; i < count; ++i) rest += static_cast<double>(in[i]) * static_cast<double>(in[i]);
  const vd sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  for (int l = 0; l < W / 2; ++l) rest += sum[l];
  return rest;
}

constexpr TrainKernels kTrain = {.dropout = dropout_values,
                                 .layernorm_gradients = layernorm_gradients,
                                 .activations = activations,
                                 .activation_gradients = activation_gradients,
                                 .add_chosen = add_chosen,
                                 .adamw = adamw,
                                 .squares = squares};
