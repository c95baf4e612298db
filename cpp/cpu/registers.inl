// What multiplies, by the dot products that the processor has: vectors of 16 floats, or the tiles of AMX (amx.inl),
// whose registers a thread must set up. Included after simd.inl.

// Products of vectors need no registers set up.
struct VectorRegisters {
  static constexpr bool kTiles = false;
  VectorRegisters() {}
};

#if defined(__AMX_TILE__)
struct alignas(64) TileShapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constexpr TileShapes kTileShapes = {};

// The eight registers, each of 16 rows of 64 bytes while this lives. A thread that holds none is cheaper to switch.
struct TileRegisters {
  static constexpr bool kTiles = true;
  TileRegisters() { _tile_loadconfig(&kTileShapes); }
  ~TileRegisters() { _tile_release(); }
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;
};

// Rows of a block and bytes of its groups, of the types that the processor has dot products for.
constexpr int kDotRows = 32, kDotGroupBytes = 64;
using DotRegisters = TileRegisters;
#else
constexpr int kDotRows = MR, kDotGroupBytes = 16;
using DotRegisters = VectorRegisters;
#endif
