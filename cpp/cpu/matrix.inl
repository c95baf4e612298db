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

static void linear_panels(const LinearPanels& p) {
  const int64_t inner = padded(p.K);
  for (int first = 0; first < p.rows; first += MR) {
    const int rows = p.rows - first < MR ? p.rows - first : MR;
    for (int column = 0; column < p.columns; column += NR) {
      const int columns = p.columns - column < NR ? p.columns - column : NR;
      const int64_t place = first * p.ld + column;
      const float* residual = p.residual == nullptr ? nullptr : p.residual + place;
      vf bias[NV] = {};
      if (p.bias != nullptr) load_row(p.bias + column, bias, columns);
      tile_rows(rows, p.blocks + first * inner, p.panels + column * inner, padded(p.K), [&](int i, vf(&sums)[NV]) {
        for (int j = 0; j < NV; ++j) sums[j] = activate(sums[j] + bias[j], p.activation);
        if (residual != nullptr) {
          vf more[NV];
          load_row(residual + i * p.ld, more, columns);
          for (int j = 0; j < NV; ++j) sums[j] += more[j];
        }
        store_row(p.out + place + i * p.ld, sums, columns);
      });
    }
  }
}

// The values of fles::HeadPooling.
constexpr int kMaxPooling = 0;
constexpr int kSumPooling = 1;
constexpr int kSumLog1pPooling = 2;

// Adds log1p(relu(z)) of the positive lanes, or log1p of that. Few are positive, so a scalar call each is cheap and
// exact.
template <int kPooling>
FLES_INLINE void add_log1p(float* best, vf z) {
  for (int i = 0; i < W; ++i) {
    if (!(z[i] > 0.0f)) continue;
    const float weight = __builtin_log1pf(z[i]);
    best[i] += kPooling == kSumLog1pPooling ? __builtin_log1pf(weight) : weight;
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

template <int kPooling, bool kArgmax>
static void head_panels_as(const HeadPanels& p) {
  const int64_t inner = padded(p.K);
  const int panels = (p.columns + NR - 1) / NR;
  const int64_t scratch = int64_t{p.texts} * NR;  // of one panel
  for (int64_t i = 0; i < panels * scratch; ++i) p.best[i] = kPooling == kMaxPooling ? -__builtin_inff() : 0.0f;
  if constexpr (kArgmax) {
    for (int64_t i = 0; i < panels * scratch; ++i) p.best_row[i] = -1;
  }
  for (int first = 0; first < p.rows; first += MR) {
    const int rows = p.rows - first < MR ? p.rows - first : MR;
    for (int column = 0; column < p.columns; column += NR) {
      vf bias[NV];
      load_row(p.bias + column, bias, p.columns - column < NR ? p.columns - column : NR);
      const int64_t panel = column / NR * scratch;
      tile_rows(rows, p.blocks + first * inner, p.panels + column * inner, padded(p.K), [&](int i, vf(&sums)[NV]) {
        const int64_t place = panel + int64_t{p.row_text[first + i]} * NR;
        for (int j = 0; j < NV; ++j) {
          const int64_t at = place + j * W;
          if constexpr (kPooling != kMaxPooling) {
            add_log1p<kPooling>(p.best + at, sums[j] + bias[j]);
          } else {
            keep_largest<kArgmax>(p.best + at, kArgmax ? p.best_row + at : nullptr, sums[j] + bias[j], first + i);
          }
        }
      });
    }
  }
  for (int b = 0; b < p.texts; ++b) {
    for (int c = 0; c < p.columns; ++c) {
      const int64_t from = c / NR * scratch + int64_t{b} * NR + c % NR;
      p.pooled[b * p.ld + c] = p.best[from];
      if constexpr (kArgmax) p.argmax[b * p.ld + c] = p.best_row[from];
    }
  }
}

static void head_panels(const HeadPanels& p) {
  if (p.pooling == kSumPooling) return head_panels_as<kSumPooling, false>(p);
  if (p.pooling == kSumLog1pPooling) return head_panels_as<kSumLog1pPooling, false>(p);
  if (p.argmax != nullptr) return head_panels_as<kMaxPooling, true>(p);
  head_panels_as<kMaxPooling, false>(p);
}
