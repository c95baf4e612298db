// Packing, linear panels and the sparse head's panels. Included after tile.inl.

static void pack_weight(const float* rows, int count, int first, int K, float* packed) {
  const int64_t panel = int64_t{padded(K)} * NR;
  for (int r = 0; r < count; ++r) {
    const int n = first + r;
    float* to = packed + n / NR * panel + n % NR;
    const float* from = rows + int64_t{r} * K;
    for (int k = 0; k < K; ++k) to[int64_t{k} * NR] = from[k];
    for (int k = K; k < padded(K); ++k) to[int64_t{k} * NR] = 0.0f;
  }
}

static void pack_block(const float* in, int rows, int64_t ld, int K, float scale, float* block) {
  const int whole = K / kGroup * kGroup;
  for (int k = 0; k < whole; k += kGroup) {
    float* to = block + int64_t{k} * MR;
    for (int i = 0; i < rows; ++i) {
      const group values = *reinterpret_cast<const group_unaligned*>(in + i * ld + k);
      *reinterpret_cast<group_unaligned*>(to + i * kGroup) = values * scale;
    }
    for (int i = rows * kGroup; i < MR * kGroup; ++i) to[i] = 0.0f;
  }
  if (whole == K) return;
  float* to = block + int64_t{whole} * MR;
  for (int i = 0; i < MR; ++i) {
    for (int g = 0; g < kGroup; ++g) {
      to[i * kGroup + g] = i < rows && whole + g < K ? in[i * ld + whole + g] * scale : 0.0f;
    }
  }
}

static void pack_columns(const float* in, int rows, int64_t ld, int count, float* block) {
  for (int r = 0; r < padded(rows); r += kGroup, block += MR * kGroup) {
    for (int g = 0; g < kGroup; ++g) {
      const float* row = in + (r + g) * ld;
      for (int i = 0; i < MR; ++i) block[i * kGroup + g] = r + g < rows && i < count ? row[i] : 0.0f;
    }
  }
}

static void pack_panel(const float* in, int rows, int64_t ld, int count, float* panel) {
  for (int r = 0; r < rows; ++r) {
    vf values[NV];
    load_row(in + r * ld, values, count);
    for (int j = 0; j < NV; ++j) store(panel + int64_t{r} * NR + j * W, values[j]);
  }
  for (int64_t i = int64_t{rows} * NR; i < int64_t{padded(rows)} * NR; ++i) panel[i] = 0.0f;
}

static void linear_panel(const LinearPanel& p) {
  vf bias[NV] = {};
  if (p.bias != nullptr) load_row(p.bias, bias, p.columns);
  for (int first = 0; first < p.rows; first += MR) {
    const int rows = p.rows - first < MR ? p.rows - first : MR;
    float* out = p.out + first * p.ld;
    const float* residual = p.residual == nullptr ? nullptr : p.residual + first * p.ld;
    tile_rows(rows, p.blocks + int64_t{first} * padded(p.K), p.panel, padded(p.K), [&](int i, vf(&sums)[NV]) {
      for (int j = 0; j < NV; ++j) sums[j] = activate(sums[j] + bias[j], p.activation);
      if (residual != nullptr) {
        vf more[NV];
        load_row(residual + i * p.ld, more, p.columns);
        for (int j = 0; j < NV; ++j) sums[j] += more[j];
      }
      store_row(out + i * p.ld, sums, p.columns);
    });
  }
}

// Adds log1p(relu(z)) of the positive lanes. Few are positive, so a scalar call each is cheap and exact.
FLES_INLINE void add_log1p(float* best, vf z) {
  for (int i = 0; i < W; ++i) {
    if (z[i] > 0.0f) best[i] += __builtin_log1pf(z[i]);
  }
}

template <bool kArgmax>
FLES_INLINE void keep_largest(float* best, int32_t* best_row, vf z, int32_t row) {
  const vf old = load(best);
  const vi larger = z > old;
  store(best, larger ? z : old);
  if constexpr (kArgmax) {
    auto* rows = reinterpret_cast<vi_unaligned*>(best_row);
    *rows = larger ? (row - vi{}) : vi(*rows);
  }
}

template <bool kSum, bool kArgmax>
static void head_panel_as(const HeadPanel& p) {
  const float empty = kSum ? 0.0f : -__builtin_inff();
  for (int i = 0; i < p.texts * NR; ++i) p.best[i] = empty;
  if constexpr (kArgmax) {
    for (int i = 0; i < p.texts * NR; ++i) p.best_row[i] = -1;
  }
  vf bias[NV];
  load_row(p.bias, bias, p.columns);
  for (int first = 0; first < p.rows; first += MR) {
    const int rows = p.rows - first < MR ? p.rows - first : MR;
    tile_rows(rows, p.blocks + int64_t{first} * padded(p.K), p.panel, padded(p.K), [&](int i, vf(&sums)[NV]) {
      const int64_t place = int64_t{p.row_text[first + i]} * NR;
      for (int j = 0; j < NV; ++j) {
        if constexpr (kSum) {
          add_log1p(p.best + place + j * W, sums[j] + bias[j]);
        } else {
          keep_largest<kArgmax>(p.best + place + j * W, kArgmax ? p.best_row + place + j * W : nullptr,
                                sums[j] + bias[j], first + i);
        }
      }
    });
  }
  for (int b = 0; b < p.texts; ++b) {
    for (int c = 0; c < p.columns; ++c) p.pooled[b * p.ld + c] = p.best[b * NR + c];
    if constexpr (kArgmax) {
      for (int c = 0; c < p.columns; ++c) p.argmax[b * p.ld + c] = p.best_row[b * NR + c];
    }
  }
}

static void head_panel(const HeadPanel& p) {
  if (p.sum != 0) return head_panel_as<true, false>(p);
  if (p.argmax != nullptr) return head_panel_as<false, true>(p);
  head_panel_as<false, false>(p);
}
