// ops/attention.h: a block for 64 queries of one text and head. Keys and values pass by 64 at a time, with the running
// maximum and sum of every query (Dao et al. 2022, "FlashAttention", arXiv:2205.14135), so that scores exist for one
// tile alone.
#include "device.h"

#include "attention.cuh"

namespace fles::cuda {
namespace {

constexpr int kKeys = 64;

struct Attention {
  const float* qkv;
  const int32_t* offsets;
  const AttentionTile* tiles;
  const int32_t* text_ids;
  float *out, *log_sums;
  int C, H, D;
  float scale;
  DropoutRate rate;
  int seed;
};

constexpr size_t shared_bytes(int width) {
  return sizeof(float) * (static_cast<size_t>(kOwnRows + 2 * kKeys) * (width + 4) + kOwnRows * (kKeys + 4));
}

template <class Arithmetic, int kWidth>
__global__ void __launch_bounds__(kAttentionThreads, 1) attend(Attention a) {
  constexpr int kStride = kWidth + 4, kScores = kKeys + 4;
  GPU_DYNAMIC_SHARED(float, shared);
  float *scores = shared, *queries = scores + kOwnRows * kScores, *keys = queries + kOwnRows * kStride,
        *values = keys + kKeys * kStride;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4, head = blockIdx.y;
  const AttentionTile tile = a.tiles[blockIdx.x];
  const int begin = a.offsets[tile.text], S = a.offsets[tile.text + 1] - begin;
  const auto rows_of = [&](int part) {
    return HeadRows{a.qkv + int64_t{begin} * 3 * a.C + part * a.C + head * a.D, int64_t{3} * a.C};
  };
  const Dropout dropout{a.rate, a.seed, a.text_ids == nullptr ? 0 : a.text_ids[tile.text]};

  load_rows<kOwnRows, kWidth>(queries, rows_of(0), tile.first, S, a.D);
  const float* own_queries = queries + 16 * warp * kStride;
  float* own_scores = scores + 16 * warp * kScores;
  float out[1][kWidth / 8][4] = {};
  float largest[2] = {-INFINITY, -INFINITY}, sums[2] = {};  // of rows g and g + 8 of the warp
  for (int first = 0; first < S; first += kKeys) {
    __syncthreads();  // the last tile and its scores have been read
    load_rows<kKeys, kWidth>(keys, rows_of(1), first, S, a.D);
    load_rows<kKeys, kWidth>(values, rows_of(2), first, S, a.D);
    __syncthreads();
    float score[1][kKeys / 8][4] = {};
    for (int k = 0; k < kWidth; k += Arithmetic::kStep) {
      Arithmetic::multiply(score, own_queries + k, kStride, keys + k, kStride, lane);
    }
    float highest[2] = {largest[0], largest[1]};
#pragma unroll
    for (int j = 0; j < kKeys / 8; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const bool inside = first + 8 * j + 2 * t + e % 2 < S;
        score[0][j][e] = inside ? score[0][j][e] * a.scale : -INFINITY;
        highest[e / 2] = fmaxf(highest[e / 2], score[0][j][e]);
      }
#pragma unroll
    for (int h = 0; h < 2; ++h) {  // the four lanes of a row
      highest[h] = fmaxf(highest[h], __shfl_xor_sync(kFullWarp, highest[h], 1));
      highest[h] = fmaxf(highest[h], __shfl_xor_sync(kFullWarp, highest[h], 2));
      const float shrink = expf(largest[h] - highest[h]);  // 0 for the first tile
      largest[h] = highest[h];
      sums[h] *= shrink;
#pragma unroll
      for (int j = 0; j < kWidth / 8; ++j) out[0][j][2 * h] *= shrink, out[0][j][2 * h + 1] *= shrink;
    }
#pragma unroll
    for (int j = 0; j < kKeys / 8; ++j)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const int row = g + 8 * h, column = 8 * j + 2 * t;
        float factors[2];
        attention_factors(dropout, head, tile.first + 16 * warp + row, first + column, S, factors);
#pragma unroll
        for (int w = 0; w < 2; ++w) {
          const float probability = expf(score[0][j][2 * h + w] - largest[h]);
          sums[h] += probability;
          own_scores[row * kScores + column + w] = probability * factors[w];
        }
      }
    __syncwarp();
    for (int k = 0; k < kKeys; k += Arithmetic::kStep) {
      Arithmetic::template multiply<Factor::kRows>(out, own_scores + k, kScores, values + k * kStride, kStride, lane);
    }
  }
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    sums[h] += __shfl_xor_sync(kFullWarp, sums[h], 1);
    sums[h] += __shfl_xor_sync(kFullWarp, sums[h], 2);
    const int row = tile.first + 16 * warp + g + 8 * h;
    if (row >= S) continue;
    const int64_t token = int64_t{begin} + row;
#pragma unroll
    for (int j = 0; j < kWidth / 8; ++j)
#pragma unroll
      for (int w = 0; w < 2; ++w) {
        const int column = 8 * j + 2 * t + w;
        if (column < a.D) a.out[token * a.C + head * a.D + column] = out[0][j][2 * h + w] / sums[h];
      }
    if (t == 0 && a.log_sums != nullptr) a.log_sums[token * a.H + head] = largest[h] + logf(sums[h]);
  }
}

}  // namespace

void attention(void* self, const AttentionForward& a) {
  check_dropout(a.dropout, a.seed, a.text_ids);
  if (a.T == 0 || a.C == 0) return;
  const Op op(self, "attention");
  const int D = a.C / a.H;
  const std::vector<AttentionTile> tiles = attention_tiles(a.offsets, a.B, kOwnRows);
  const Attention arguments{
      a.qkv, op.offsets(a.offsets, a.B),       on_device(op, tiles),    a.text_ids, a.out, a.log_sums, a.C, a.H,
      D,     1 / sqrtf(static_cast<float>(D)), dropout_rate(a.dropout), a.seed};
  for_head_width(op, D, [&](auto arithmetic, auto width) {
    op.launch(attend<decltype(arithmetic), width()>, dim3(tiles.size(), a.H), kAttentionThreads, shared_bytes(width()),
              arguments);
  });
}

}  // namespace fles::cuda
