// ops/attention_backward.h in two passes, each with a block for 64 rows of its own of one text and head while the other
// rows pass by: queries gather d_q, keys gather d_k and d_v. Probabilities are computed again in both, so that no sum
// needs atomics (after Dao et al. 2022, "FlashAttention", arXiv:2205.14135).
#include "device.h"
#include "reduce.cuh"

#include "attention.cuh"

namespace fles::cuda {
namespace {

struct Attention {
  const float *qkv, *d_out, *log_sums, *deltas;
  const int32_t *offsets, *text_ids;
  const AttentionTile* tiles;
  float* d_qkv;
  int C, H, D;
  float scale;
  DropoutRate rate;
  int seed;
};

// delta (T, H): the inner product of out and d_out of a head, a warp each.
__global__ void inner_products(const float* out, const float* d_out, float* deltas, int64_t count, int D) {
  constexpr int kWarps = kAttentionThreads / 32;
  const int64_t i = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (i >= count) return;
  float sum = 0;
  for (int k = threadIdx.x % 32; k < D; k += 32) sum += out[i * D + k] * d_out[i * D + k];
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) deltas[i] = sum;
}

constexpr int kOther =
    32;  // rows that pass by: so few that two blocks of heads of 64 fit into a multiprocessor of an A100

template <int kWidth>
constexpr size_t kSharedBytes =
    sizeof(float) * (2 * static_cast<size_t>(kOwnRows + kOther) * (kWidth + 4) + kOwnRows * (kOther + 4) + 2 * kOther);

// With kOfKeys, own rows are keys and values, and queries pass by with the gradient of their output; else the reverse.
template <class Arithmetic, int kWidth, bool kOfKeys>
__global__ void __launch_bounds__(kAttentionThreads, 1) backward(Attention a) {
  constexpr int kStride = kWidth + 4, kScores = kOther + 4;
  GPU_DYNAMIC_SHARED(float, shared);
  float *own_first = shared, *own_second = own_first + kOwnRows * kStride,
        *other_first = own_second + kOwnRows * kStride, *other_second = other_first + kOther * kStride,
        *scores = other_second + kOther * kStride, *log_sums = scores + kOwnRows * kScores, *deltas = log_sums + kOther;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4, head = blockIdx.y;
  const AttentionTile tile = a.tiles[blockIdx.x];
  const int begin = a.offsets[tile.text], S = a.offsets[tile.text + 1] - begin;
  const auto part_of = [&](int part) {
    return HeadRows{a.qkv + int64_t{begin} * 3 * a.C + part * a.C + head * a.D, int64_t{3} * a.C};
  };
  const HeadRows queries = part_of(0), keys = part_of(1), values = part_of(2),
                 d_outs{a.d_out + int64_t{begin} * a.C + head * a.D, a.C};
  const auto statistic = [&](const float* of, int row) {
    return row < S ? of[(int64_t{begin} + row) * a.H + head] : 0.0f;
  };
  const Dropout dropout{a.rate, a.seed, a.text_ids == nullptr ? 0 : a.text_ids[tile.text]};

  load_rows<kOwnRows, kWidth>(own_first, kOfKeys ? keys : queries, tile.first, S, a.D);
  load_rows<kOwnRows, kWidth>(own_second, kOfKeys ? values : d_outs, tile.first, S, a.D);
  const int own_row = tile.first + 16 * warp + g;  // and 8 further
  float own_log_sums[2] = {}, own_deltas[2] = {};
  if (!kOfKeys) {
    for (int h = 0; h < 2; ++h) {
      own_log_sums[h] = statistic(a.log_sums, own_row + 8 * h);
      own_deltas[h] = statistic(a.deltas, own_row + 8 * h);
    }
  }
  const int first_own = 16 * warp * kStride;
  float* own_scores = scores + 16 * warp * kScores;
  float d_first[1][kWidth / 8][4] = {}, d_second[1][kWidth / 8][4] = {};  // of queries; of keys and of values

  for (int first = 0; first < S; first += kOther) {
    __syncthreads();  // the last tile has been read
    load_rows<kOther, kWidth>(other_first, kOfKeys ? queries : keys, first, S, a.D);
    load_rows<kOther, kWidth>(other_second, kOfKeys ? d_outs : values, first, S, a.D);
    if (kOfKeys && threadIdx.x < kOther) {
      log_sums[threadIdx.x] = statistic(a.log_sums, first + threadIdx.x);
      deltas[threadIdx.x] = statistic(a.deltas, first + threadIdx.x);
    }
    __syncthreads();
    float score[1][kOther / 8][4] = {}, d_probability[1][kOther / 8][4] = {};
    for (int k = 0; k < kWidth; k += Arithmetic::kStep) {
      Arithmetic::multiply(score, own_first + first_own + k, kStride, other_first + k, kStride, lane);
      Arithmetic::multiply(d_probability, own_second + first_own + k, kStride, other_second + k, kStride, lane);
    }
    // score becomes the dropped probability, d_probability the gradient of the score.
#pragma unroll
    for (int j = 0; j < kOther / 8; ++j)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const int own = own_row + 8 * h, column = 8 * j + 2 * t;
        float factors[2] = {};  // of two keys for one query, or one by one
        if (!kOfKeys) attention_factors(dropout, head, own, first + column, S, factors);
#pragma unroll
        for (int w = 0; w < 2; ++w) {
          const int other = first + column + w;
          float factor = factors[w];
          if (kOfKeys) {
            attention_factors(dropout, head, other, own / 2 * 2, S, factors);
            factor = own % 2 == 0 ? factors[0] : factors[1];
          }
          const float log_sum = kOfKeys ? log_sums[column + w] : own_log_sums[h];
          const float delta = kOfKeys ? deltas[column + w] : own_deltas[h];
          float &s = score[0][j][2 * h + w], &d = d_probability[0][j][2 * h + w];
          const float probability = own < S && other < S ? expf(s * a.scale - log_sum) : 0.0f;
          s = probability * factor;
          d = probability * (d * factor - delta) * a.scale;
        }
      }
    const auto gather = [&](const float(&of)[1][kOther / 8][4], const float* rows, float(&sum)[1][kWidth / 8][4]) {
#pragma unroll
      for (int j = 0; j < kOther / 8; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) own_scores[(g + 8 * (e / 2)) * kScores + 8 * j + 2 * t + e % 2] = of[0][j][e];
      __syncwarp();
      for (int k = 0; k < kOther; k += Arithmetic::kStep) {
        Arithmetic::template multiply<Factor::kRows>(sum, own_scores + k, kScores, rows + k * kStride, kStride, lane);
      }
      __syncwarp();  // before the scores are written again
    };
    gather(d_probability, other_first, d_first);
    if (kOfKeys) gather(score, other_second, d_second);
  }

  const auto store = [&](const float(&sum)[1][kWidth / 8][4], int part) {
#pragma unroll
    for (int j = 0; j < kWidth / 8; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int row = own_row + 8 * (e / 2), column = 8 * j + 2 * t + e % 2;
        if (row < S && column < a.D) {
          a.d_qkv[((int64_t{begin} + row) * 3 + part) * a.C + head * a.D + column] = sum[0][j][e];
        }
      }
  };
  store(d_first, kOfKeys ? 1 : 0);
  if (kOfKeys) store(d_second, 2);
}

}  // namespace

void attention_backward(void* self, const AttentionBackward& a) {
  check_dropout(a.dropout, a.seed, a.text_ids);
  if (a.T == 0 || a.C == 0) return;
  const Op op(self, "attention_backward");
  const int D = a.C / a.H;
  const int64_t count = int64_t{a.T} * a.H;
  auto* deltas = op.scratch<float>(count);
  op.launch(inner_products, blocks_of(count, kAttentionThreads / kWarp), kAttentionThreads, 0, a.out, a.d_out, deltas,
            count, D);
  const std::vector<AttentionTile> tiles = attention_tiles(a.offsets, a.B, kOwnRows);
  const Attention arguments{a.qkv,
                            a.d_out,
                            a.log_sums,
                            deltas,
                            op.offsets(a.offsets, a.B),
                            a.text_ids,
                            on_device(op, tiles),
                            a.d_qkv,
                            a.C,
                            a.H,
                            D,
                            1 / sqrtf(static_cast<float>(D)),
                            dropout_rate(a.dropout),
                            a.seed};
  for_head_width(op, D, [&](auto arithmetic, auto width) {
    using Arithmetic = decltype(arithmetic);
    const dim3 grid(tiles.size(), a.H);
    op.launch(backward<Arithmetic, width(), false>, grid, kAttentionThreads, kSharedBytes<width()>, arguments);
    op.launch(backward<Arithmetic, width(), true>, grid, kAttentionThreads, kSharedBytes<width()>, arguments);
  });
}

}  // namespace fles::cuda
