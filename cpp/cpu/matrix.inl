// Linear panels and the sparse head's panels, for each type. Included after packing.inl.

// Panels as they are multiplied, each of `size`.
template <class D>
struct Multiplied {
  const typename D::Panel* first;
  int64_t size;
};

// The panels of some columns: themselves, or their parts in scratch memory.
template <class D>
FLES_INLINE Multiplied<D> multiplied(const typename D::Panel* panels, [[maybe_unused]] int columns, int K,
                                     [[maybe_unused]] void* scratch) {
#if defined(__AMX_TILE__)
  if constexpr (D::kSplits) {
    split_panels(panels, (columns + NR - 1) / NR, K, scratch);
    return {static_cast<const float*>(scratch), D::split_bytes(K) / static_cast<int64_t>(sizeof(float))};
  }
#endif
  return {panels, D::panel_size(K)};
}

template <class D>
static void linear_panels(const LinearPanels& p) {
  const typename D::Registers registers;
  const auto* blocks = static_cast<const typename D::Block*>(p.blocks);
  const auto* panels = static_cast<const typename D::Panel*>(p.panels);
  const Multiplied<D> operand = multiplied<D>(panels, p.columns, p.K, p.scratch);
  const int block_count = (p.rows + D::kMR - 1) / D::kMR;
  for (int first = 0; first < p.rows; first += D::kMR) {
    const typename D::Block* block = blocks + first / D::kMR * D::block_size(p.K);
    const int rows = p.rows - first < D::kMR ? p.rows - first : D::kMR;
    for (int column = 0; column < p.columns; column += NR) {
      const typename D::Panel* panel = operand.first + column / NR * operand.size;
      const int columns = p.columns - column < NR ? p.columns - column : NR;
      const int64_t place = first * p.ld + column;
      const float* residual = p.residual == nullptr ? nullptr : p.residual + place;
      // Wanted when the sums are there; its rows lie too far apart for the processor to foresee.
      for (int i = 0; residual != nullptr && i < rows; ++i) prefetch_row(residual + i * p.ld, columns);
      const typename D::Panel* wanted_next = panels + (column + p.next) / NR * D::panel_size(p.K);
      const Ahead ahead = ahead_of<D>(wanted_next, p.K, first / D::kMR, block_count);
      vf bias[NV] = {};
      if (p.bias != nullptr) load_row(p.bias + column, bias, columns);
      tile_rows<D>(rows, block, panel, padded_for<D>(p.K), ahead, [&](int i, vf(&sums)[NV]) {
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

template <class D, int kPooling, bool kArgmax, bool kScreen = false>
static void head_panels_as(const HeadPanels& p) {
  const typename D::Registers registers;
  const auto* blocks = static_cast<const typename D::Block*>(p.blocks);
  const auto* weights = static_cast<const typename D::Panel*>(p.panels);
  const int panels = (p.columns + NR - 1) / NR;
  const int64_t scratch = int64_t{p.texts} * NR;  // of one panel
  for (int64_t i = 0; i < panels * scratch; ++i) p.best[i] = kPooling == kMaxPooling ? -__builtin_inff() : 0.0f;
  if constexpr (kArgmax) {
    for (int64_t i = 0; i < panels * scratch; ++i) p.best_row[i] = -1;
  }
  const auto multiply_tile = [&](int first, int column, const typename D::Panel* weight,
                                 Ahead ahead) __attribute__((always_inline)) {
    const typename D::Block* block = blocks + first / D::kMR * D::block_size(p.K);
    const int rows = p.rows - first < D::kMR ? p.rows - first : D::kMR;
    vf bias[NV];
    load_row(p.bias + column, bias, p.columns - column < NR ? p.columns - column : NR);
    const auto* norms = reinterpret_cast<const float*>(weight) + NR;  // read by a screen alone
    const int64_t panel = column / NR * scratch;
    tile_rows<D>(rows, block, weight, padded_for<D>(p.K), ahead, [&](int i, vf(&sums)[NV]) {
      const int64_t place = panel + int64_t{p.row_text[first + i]} * NR;
      for (int j = 0; j < NV; ++j) {
        if constexpr (kScreen) {
          const float* row = p.row_norms + 2 * (first + i);
          sums[j] += row[1] * load(norms + j * W) + row[0] * load(norms + NR + j * W);
        }
        const int64_t at = place + j * W;
        if constexpr (kPooling != kMaxPooling) {
          add_log1p<kPooling>(p.best + at, sums[j] + bias[j]);
        } else {
          keep_largest<kArgmax>(p.best + at, kArgmax ? p.best_row + at : nullptr, sums[j] + bias[j], first + i);
        }
      }
    });
  };
  for (int group = 0; group < p.rows; group += p.rows_at_once) {
    const int last_row = p.rows - group < p.rows_at_once ? p.rows : group + p.rows_at_once;
    const int block_count = (last_row - group + D::kMR - 1) / D::kMR;
    for (int columns = 0; columns < p.columns; columns += p.columns_at_once) {
      const int last_column = p.columns - columns < p.columns_at_once ? p.columns : columns + p.columns_at_once;
      const Multiplied<D> operand =
          multiplied<D>(weights + columns / NR * D::panel_size(p.K), last_column - columns, p.K, p.scratch);
      const int next = last_column < p.columns ? p.columns_at_once : last_row < p.rows ? -columns : p.next;
      for (int first = group; first < last_row; first += D::kMR) {
        for (int column = columns; column < last_column; column += NR) {
          const typename D::Panel* wanted_next = weights + (column + next) / NR * D::panel_size(p.K);
          const typename D::Panel* weight = operand.first + (column - columns) / NR * operand.size;
          multiply_tile(first, column, weight, ahead_of<D>(wanted_next, p.K, (first - group) / D::kMR, block_count));
        }
      }
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

template <class D>
static void head_panels(const HeadPanels& p) {
  if (p.pooling == kSumPooling) return head_panels_as<D, kSumPooling, false>(p);
  if (p.pooling == kSumLog1pPooling) return head_panels_as<D, kSumLog1pPooling, false>(p);
  if (p.argmax != nullptr) return head_panels_as<D, kMaxPooling, true>(p);
  if constexpr (D::kScreens) {
    if (p.row_norms != nullptr) return head_panels_as<D, kMaxPooling, false, true>(p);
  }
  head_panels_as<D, kMaxPooling, false>(p);
}

template <class D>
static int64_t block_bytes(int K) {
  return D::block_size(K) * static_cast<int64_t>(sizeof(typename D::Block));
}
template <class D>
static int64_t scratch_bytes([[maybe_unused]] int K) {
#if defined(__AMX_TILE__)
  if constexpr (D::kSplits) return D::split_bytes(K);
#endif
  return 0;
}
template <class D>
static int64_t panel_bytes(int K) {
  return D::panel_size(K) * static_cast<int64_t>(sizeof(typename D::Panel));
}

// A column of a panel: a number in each row of the header, then kPanelStep / NR bytes of each step.
template <class D>
static void gather_columns(const void* packed, const int32_t* columns, int count, int K, void* panels) {
  constexpr int kBytes = D::kPanelStep / NR;
  const int64_t size = panel_bytes<D>(K);
  const int padded_count = (count + NR - 1) / NR * NR;
  for (int i = 0; i < padded_count; ++i) {
    char* to = static_cast<char*>(panels) + i / NR * size;
    const int n = columns[i < count ? i : 0];
    const char* from = static_cast<const char*>(packed) + n / NR * size;
    const auto copy = [&](int64_t row, int bytes) __attribute__((always_inline)) {
      char* place = to + row + i % NR * bytes;
      if (i < count) {
        __builtin_memcpy(place, from + row + n % NR * bytes, bytes);
      } else {
        __builtin_memset(place, 0, bytes);
      }
    };
    for (int row = 0; row < D::kPanelHeader; row += NR * 4) copy(row, 4);
    for (int64_t row = D::kPanelHeader; row < size; row += D::kPanelStep) copy(row, kBytes);
  }
}
