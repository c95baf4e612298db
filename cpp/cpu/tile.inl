// The register tile: M x NR sums over K, then an epilogue on each row. Included after simd.inl.

template <int M>
struct Rows {
  static constexpr int value = M;
};

// Calls row(i, sums) for i in 0..M-1 with the NV vectors of row i. a is [K / 4][MR][4], b is [K][NR], K a multiple
// of 4.
template <int M, class Row>
FLES_INLINE void tile(const float* __restrict a, const float* __restrict b, int K, Row&& row) {
  vf sums[M][NV];
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) sums[i][j] = vf{};
  }
  for (int k = 0; k < K; k += kGroup, a += (MR - 1) * kGroup) {
    // Not unrolled: GCC would mix the loads of all four steps, for which there are not enough registers.
#pragma GCC unroll 1
    for (int g = 0; g < kGroup; ++g, ++a, b += NR) {
      __builtin_prefetch(b + 8 * NR);
      vf columns[NV];
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) columns[j] = load(b + j * W);
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i) {
#pragma GCC unroll 2
        for (int j = 0; j < NV; ++j) sums[i][j] += a[i * kGroup] * columns[j];
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i) row(i, sums[i]);
}

// The same for a number of rows known at run time, 1..MR: all at once, or in powers of two.
template <class Row>
FLES_INLINE void tile_rows(int rows, const float* a, const float* b, int K, Row&& row) {
  if (rows == MR) return tile<MR>(a, b, K, row);
  int first = 0;
  const auto part = [&](auto size) __attribute__((always_inline)) {
    if ((rows & size.value) == 0) return;
    tile<size.value>(a + first * kGroup, b, K, [&](int i, vf(&sums)[NV]) { row(first + i, sums); });
    first += size.value;
  };
  if constexpr (MR > 8) part(Rows<8>{});
  if constexpr (MR > 4) part(Rows<4>{});
  part(Rows<2>{});
  part(Rows<1>{});
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
