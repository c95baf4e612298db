// Reading matrices column by column, four rows at once. Included after simd.inl.

// GCC before 12 has no __builtin_shufflevector, Clang no __builtin_shuffle.
#if defined(__clang__)
#define FLES_SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
typedef int32_t group_order __attribute__((vector_size(16)));
#define FLES_SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, group_order{i, j, k, l})
#endif

FLES_INLINE void store_group(float* p, group x) { *reinterpret_cast<group_unaligned*>(p) = x; }

FLES_INLINE void transpose(group (&x)[kGroup]) {
  const group a = FLES_SHUFFLE(x[0], x[1], 0, 4, 1, 5), b = FLES_SHUFFLE(x[0], x[1], 2, 6, 3, 7);
  const group c = FLES_SHUFFLE(x[2], x[3], 0, 4, 1, 5), d = FLES_SHUFFLE(x[2], x[3], 2, 6, 3, 7);
  x[0] = FLES_SHUFFLE(a, c, 0, 1, 4, 5);
  x[1] = FLES_SHUFFLE(a, c, 2, 3, 6, 7);
  x[2] = FLES_SHUFFLE(b, d, 0, 1, 4, 5);
  x[3] = FLES_SHUFFLE(b, d, 2, 3, 6, 7);
}

// Rows of a head lie too far apart for the processor to foresee: they are asked for kAhead rows before their use.
constexpr int kAhead = 8;
FLES_INLINE void prefetch_row(const float* row, int columns) {
  for (int c = 0; c < columns; c += 16) __builtin_prefetch(row + c);
  __builtin_prefetch(row + columns - 1);
}

// Calls put(r, c, values) with values r..r+3 of column c of a matrix (rows, ld), for r in steps of 4 and every c;
// values beyond the last row are 0.
template <class Put>
FLES_INLINE void transpose_groups(const float* in, int rows, int64_t ld, int columns, Put&& put) {
  for (int r = 0; r < rows; r += kGroup) {
    for (int g = 0; g < kGroup; ++g) {
      if (r + kAhead + g < rows) prefetch_row(in + (r + kAhead + g) * ld, columns);
    }
    const float* from[kGroup];
    for (int g = 0; g < kGroup; ++g) from[g] = in + (r + g < rows ? r + g : rows - 1) * ld;
    const int whole = rows - r < kGroup ? 0 : columns / kGroup * kGroup;
    for (int c = 0; c < whole; c += kGroup) {
      group x[kGroup];
#pragma GCC unroll 4
      for (int g = 0; g < kGroup; ++g) x[g] = *reinterpret_cast<const group_unaligned*>(from[g] + c);
      transpose(x);
#pragma GCC unroll 4
      for (int g = 0; g < kGroup; ++g) put(r, c + g, x[g]);
    }
    for (int c = whole; c < columns; ++c) {
      group x = {};
      for (int g = 0; g < kGroup && r + g < rows; ++g) x[g] = from[g][c];
      put(r, c, x);
    }
  }
}
