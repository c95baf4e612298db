// The register tile: M x NR sums over K, then an epilogue on each row. Included after types.inl.

template <int M>
struct Rows {
  static constexpr int value = M;
};

// Calls row(i, sums) for i in first..first + M - 1 of a block with the NV vectors of row i. K is a whole number of
// groups.
template <class D, int M, class Next, class Row>
FLES_INLINE void tile(const typename D::Block* a, int first, const typename D::Panel* b, int K, Next next, Row&& row) {
  typename D::Sum sums[M][NV];
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) sums[i][j] = typename D::Sum{};
  }
  multiply<D, M>(a, first, b, K, sums, next);
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i) {
    vf values[NV];
    D::finish(a, b, first + i, sums[i], values);
    row(first + i, values);
  }
}

// The same for a number of rows known at run time, 1..kMR: all at once, or in powers of two.
template <class D, class Next, class Row>
FLES_INLINE void vector_rows(int rows, const typename D::Block* a, const typename D::Panel* b, int K, Next next,
                             Row&& row) {
  if (rows == MR) return tile<D, MR>(a, 0, b, K, next, row);
  int first = 0;
  const auto part = [&](auto size) __attribute__((always_inline)) {
    if ((rows & size.value) == 0) return;
    tile<D, size.value>(a, first, b, K, next, row);
    first += size.value;
  };
  if constexpr (MR > 8) part(Rows<8>{});
  if constexpr (MR > 4) part(Rows<4>{});
  part(Rows<2>{});
  part(Rows<1>{});
}

template <class D = Float32, class Next, class Row>
FLES_INLINE void tile_rows(int rows, const typename D::Block* a, const typename D::Panel* b, int K, Next next,
                           Row&& row) {
#if defined(__AMX_TILE__)
  if constexpr (D::Registers::kTiles) {
    tile_rows_of<D>(rows, a, b, K, next, row);
  } else
#endif
  {
    vector_rows<D>(rows, a, b, K, next, row);
  }
}

// Stores the first `columns` of a row of a tile.
FLES_INLINE void store_row(float* out, const vf (&sums)[NV], int columns) {
  if (columns == NR) {
    for (int j = 0; j < NV; ++j) store(out + j * W, sums[j]);
    return;
  }
  for (int c = 0; c < columns; ++c) out[c] = sums[c / W][c % W];
}

// `columns` values from p, zero beyond: the counterpart of store_row.
FLES_INLINE void load_row(const float* p, vf (&x)[NV], int columns) {
  if (columns == NR) {
    for (int j = 0; j < NV; ++j) x[j] = load(p + j * W);
    return;
  }
  for (int j = 0; j < NV; ++j) x[j] = vf{};
  for (int c = 0; c < columns; ++c) x[c / W][c % W] = p[c];
}
