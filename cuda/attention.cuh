// What the two directions of attention share: tiles of a head in shared memory, and the mask of dropout.
#pragma once
#include "device.h"
#include "ops/checks.h"
#include "tile_product.cuh"

namespace fles::cuda {

constexpr int kAttentionThreads = 128;  // four warps
constexpr int kOwnRows = 64;            // of a block, 16 a warp

// A tile of some rows of one text in one head.
struct AttentionTile {
  int32_t text, first;  // first: within the text
};

// Where a text's rows of one head are: queries, keys or values of qkv, or columns of a (T, C) matrix.
struct HeadRows {
  const float* data;
  int64_t stride;
};

// Rows [first, first + Rows) of a head to shared memory, (Rows, Columns) with Columns + 4 floats a row; zeros beyond
// `rows` and beyond D. All threads of the block.
template <int Rows, int Columns>
__device__ __forceinline__ void load_rows(float* to, HeadRows from, int first, int rows, int D) {
  static_assert(Rows * Columns % kAttentionThreads == 0);
#pragma unroll 8
  for (int pass = 0; pass < Rows * Columns / kAttentionThreads; ++pass) {
    const int i = pass * kAttentionThreads + threadIdx.x;
    const int row = i / Columns, column = i % Columns;
    const bool inside = first + row < rows && column < D;
    to[row * (Columns + 4) + column] = inside ? from.data[(first + row) * from.stride + column] : 0.0f;
  }
}

// What dropout multiplies the attention of token i to tokens j and j + 1 by, j even, in a text of S tokens.
__device__ __forceinline__ void attention_factors(const Dropout& dropout, int head, int i, int j, int S,
                                                  float (&factors)[2]) {
  factors[0] = factors[1] = 1;
  if (dropout.rate.cut == 0) return;
  const uint64_t index = attention_index(head, i, j, S);
  const PhiloxBlock block = dropout_block(dropout.seed, dropout.text, index / 8);
  const int word = static_cast<int>(index % 8) / 2;  // chosen without an index, which would put the block in memory
  const uint32_t draws =
      word < 2 ? (word == 0 ? block.word[0] : block.word[1]) : (word == 2 ? block.word[2] : block.word[3]);
  factors[0] = (draws & 0xFFFF) >= dropout.rate.cut ? dropout.rate.scale : 0.0f;
  factors[1] = draws >> 16 >= dropout.rate.cut ? dropout.rate.scale : 0.0f;
}

// Tiles of `rows` rows of every text.
inline std::vector<AttentionTile> attention_tiles(const int32_t* offsets, int B, int rows) {
  std::vector<AttentionTile> tiles;
  for (int text = 0; text < B; ++text) {
    for (int first = 0; first < offsets[text + 1] - offsets[text]; first += rows) tiles.push_back({text, first});
  }
  return tiles;
}

inline const AttentionTile* on_device(const Op& op, const std::vector<AttentionTile>& tiles) {
  return op.kept("attention tiles", tiles.data(), tiles.size());
}

// run(arithmetic, width): the arithmetic that the device multiplies float32 in, and the width of a head in shared
// memory, 32, 64 or 128 as integral constants. ERR_DEVICE_LIMIT for wider heads.
template <class Run>
void for_head_width(const Op& op, int D, Run&& run) {
  const auto with = [&](auto arithmetic) {
    if (D <= 32) return run(arithmetic, std::integral_constant<int, 32>{});
    if (D <= 64) return run(arithmetic, std::integral_constant<int, 64>{});
    return run(arithmetic, std::integral_constant<int, 128>{});
  };
  if (D > 128) {
    fail("ERR_DEVICE_LIMIT",
         "the heads of attention are %d wide, expected at most 128 on a CUDA device; use the CPU (device \"cpu\")", D);
  }
  if (op.device().tf32()) return with(Tf32{});
  return with(ExactFloat32{});
}

}  // namespace fles::cuda
