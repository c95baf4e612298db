// Products of tiles (Intel Architecture Instruction Set Extensions Programming Reference, "Intel AMX"): one instruction
// multiplies 16 rows by 16 columns over 64 bytes of K. Included after types.inl, in the level that has AMX.
//
// A group of a block is two left tiles, of 16 rows each; 16 steps of a panel are two right tiles, of 16 columns each.
// Four tiles of sums, two by two, take each loaded tile twice.

constexpr int kTileRows = 16, kTileBytes = 1024;
constexpr int kTileStride = NR * 4;          // bytes from row to row of a right tile and of sums
constexpr int kTilePair = 2 * kTileBytes;    // of a group of a block, or 16 steps of a panel
constexpr int kTileSteps = kTileBytes / 64;  // of a panel, in a pair

// The registers' numbers are part of an instruction's text: sums are 0 to 3, rows 4 and 5, columns 6 and 7. kTall: more
// than 16 rows.
template <bool kTall>
FLES_INLINE void clear_sums() {
  // What was stored must be in memory: GCC's intrinsics do not say that they load from there.
  asm volatile("" ::: "memory");
  _tile_zero(0);
  _tile_zero(1);
  if constexpr (kTall) {
    _tile_zero(2);
    _tile_zero(3);
  }
}
template <bool kTall>
FLES_INLINE void load_rows(const char* pair) {
  _tile_loadd(4, pair, 64);
  if constexpr (kTall) _tile_loadd(5, pair + kTileBytes, 64);
}
FLES_INLINE void load_columns(const char* pair) {
  _tile_loadd(6, pair, kTileStride);
  _tile_loadd(7, pair + 64, kTileStride);
}
template <class D, bool kTall>
FLES_INLINE void add_products() {
  if constexpr (D::kIntegers) {
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    if constexpr (kTall) {
      _tile_dpbssd(2, 5, 6);
      _tile_dpbssd(3, 5, 7);
    }
  } else {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (kTall) {
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
}
template <bool kTall>
FLES_INLINE void store_sums(void* sums) {
  auto* to = static_cast<char*>(sums);
  _tile_stored(0, to, kTileStride);
  _tile_stored(1, to + 64, kTileStride);
  if constexpr (kTall) {
    _tile_stored(2, to + kTileRows * kTileStride, kTileStride);
    _tile_stored(3, to + kTileRows * kTileStride + 64, kTileStride);
  }
}

// sums = rows of a block times a panel.
template <class D, bool kTall, class Next>
FLES_INLINE void multiply_tiles(const char* a, const char* b, int K, void* sums, Next next) {
  clear_sums<kTall>();
  for (int k = 0; k < K; k += D::kGroup, a += kTilePair, b += kTilePair) {
    if constexpr (!kTall) {  // few rows: the panel comes from memory
      for (int line = 0; line < kTilePair; line += 64) __builtin_prefetch(b + kPanelAhead + line);
    }
    Next::fetch(next, kTileSteps);
    load_rows<kTall>(a);
    load_columns(b);
    add_products<D, kTall>();
  }
  store_sums<kTall>(sums);
}

// Float32 as the sum of three bfloat16: each takes eight bits of the significand, and what is left is exact, so that
// six of their nine products give a product of float32 to within 2^-25 (Henry, Tang and Heinecke 2019, "Leveraging the
// bfloat16 Artificial Intelligence Datatype For Higher-Precision Computations", arXiv:1904.06376). The five small ones
// are summed first: so the sum is rounded as often as one of whole products, at its size.
constexpr int kParts = 3;

template <bool kTall, class Next>
FLES_INLINE void multiply_split_tiles(const char* a, const char* b, int K, void* sums, Next next) {
  using D = SplitFloat32;
  constexpr int kStep = kParts * kTilePair;
  constexpr int kMiddle = kTilePair, kSmall = 2 * kTilePair;
  clear_sums<kTall>();
  for (int k = 0; k < K; k += D::kGroup, a += kStep, b += kStep) {
    Next::fetch(next, D::kGroup);
    load_rows<kTall>(a + kSmall);
    load_columns(b);
    add_products<D, kTall>();
    load_rows<kTall>(a + kMiddle);
    add_products<D, kTall>();
    load_columns(b + kMiddle);
    add_products<D, kTall>();
    load_rows<kTall>(a);
    add_products<D, kTall>();
    load_columns(b + kSmall);
    add_products<D, kTall>();
  }
  a -= K / D::kGroup * kStep;
  b -= K / D::kGroup * kStep;
  for (int k = 0; k < K; k += D::kGroup, a += kStep, b += kStep) {
    load_rows<kTall>(a);
    load_columns(b);
    add_products<D, kTall>();
  }
  store_sums<kTall>(sums);
}

// The parts of each lane, bfloat16 in its upper half.
FLES_INLINE void split(vf x, vu (&parts)[kParts]) {
  const vi large = round_bfloat16(x);
  const vf left = x - reinterpret_cast<vf>(large);
  parts[0] = reinterpret_cast<vu>(large);
  parts[1] = reinterpret_cast<vu>(left) & 0xFFFF0000U;
  parts[2] = reinterpret_cast<vu>(left - reinterpret_cast<vf>(parts[1]));
}

// Panels of SplitFloat32 as right tiles of each part.
static void split_panels(const float* panels, int count, int K, void* scratch) {
  constexpr int kStep = 2;  // rows of K that stand side by side
  auto* to = static_cast<char*>(scratch);
  for (int k = 0; k < count * padded_for<SplitFloat32>(K); k += kStep, panels += kStep * NR) {
    for (int c = 0; c < kStep * NR; c += 16) __builtin_prefetch(panels + kPanelAhead / 4 + c);
    for (int j = 0; j < NV; ++j) {
      vu first[kParts], second[kParts];
      split(load(panels + j * W), first);
      split(load(panels + NR + j * W), second);
#pragma GCC unroll 3
      for (int part = 0; part < kParts; ++part) {
        const vu pair = first[part] >> 16 | (second[part] & 0xFFFF0000U);
        __builtin_memcpy(to + part * kTilePair + j * 64, &pair, sizeof pair);
      }
    }
    to += kTileStride;
    if ((k + kStep) % SplitFloat32::kGroup == 0) to += (kParts - 1) * kTilePair;
  }
}

// Calls row(i, sums) for the first `rows` rows of a block. A panel of SplitFloat32 is one that was split.
template <class D, class Next, class Row>
FLES_INLINE void tile_rows_of(int rows, const typename D::Block* block, const typename D::Panel* panel, int K,
                              Next next, Row&& row) {
  typename D::Sum sums[D::kMR][NV];
  const char* a = reinterpret_cast<const char*>(block) + D::kBlockHeader;
  const char* b = reinterpret_cast<const char*>(panel) + D::kPanelHeader;
  if constexpr (D::kSplits) {
    if (rows > kTileRows) {
      multiply_split_tiles<true>(a, b, K, sums, next);
    } else {
      multiply_split_tiles<false>(a, b, K, sums, next);
    }
  } else if (rows > kTileRows) {
    multiply_tiles<D, true>(a, b, K, sums, next);
  } else {
    multiply_tiles<D, false>(a, b, K, sums, next);
  }
  for (int i = 0; i < rows; ++i) {
    vf values[NV];
    D::finish(block, panel, i, sums[i], values);
    row(i, values);
  }
}
