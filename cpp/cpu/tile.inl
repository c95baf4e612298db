// The register tile: M x NR sums over K, then an epilogue on each row. Included after simd.inl.

// Calls row(i, sums) for i in 0..M-1 with the NV vectors of row i. a is [K][MR], b is [K][NR].
template <int M, class Row>
FLES_INLINE void tile(const float* __restrict a, const float* __restrict b, int K, Row&& row) {
  vf sums[M][NV];
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) sums[i][j] = vf{};
  }
  for (int k = 0; k < K; ++k, a += MR, b += NR) {
    __builtin_prefetch(b + 8 * NR);
    vf columns[NV];
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) columns[j] = load(b + j * W);
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) sums[i][j] += a[i] * columns[j];
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i) row(i, sums[i]);
}

// The same for a number of rows known at run time, 1..MR.
template <int M = MR, class Row>
FLES_INLINE void tile_rows(int rows, const float* a, const float* b, int K, Row&& row) {
  if (rows == M) return tile<M>(a, b, K, row);
  if constexpr (M > 1) tile_rows<M - 1>(rows, a, b, K, row);
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
