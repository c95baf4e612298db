// ops/sparse_head.h: the projection on tensor cores, a block for some whole texts and 128 terms. Logits exist for 128
// tokens at a time, in shared memory, where a thread a term walks down them with the running maximum or sum of its
// text. The screen is not used: every term is computed.
#include <algorithm>
#include <type_traits>

#include "operand.h"
#include "ops/checks.h"
#include "tile_product.cuh"

namespace fles::cuda {
namespace {

constexpr int kTokens = 128, kTerms = 128;    // of a tile
constexpr int kThreads = 256;                 // 2 x 4 warps, 64 tokens and 32 terms each
constexpr int kRowBytes = 64;                 // of a row of a stage
constexpr int kStrideBytes = kRowBytes + 16;  // so that eight rows lie in different banks
constexpr int kStages = 2;
constexpr int kLogits = kTerms + 4;  // from one row of logits to the next
constexpr int kGroupTokens = 512;    // texts of a block, unless one has more
constexpr int kStageBytes = (kTokens + kTerms) * kStrideBytes;
static_assert(kTokens / 2 * kLogits * sizeof(float) <= kStages * kStageBytes);

struct Head {
  const void *in, *weight;
  int in_stride, weight_stride;            // elements
  const float *in_scales, *weight_scales;  // of int8 rows, else null
  const float* bias;
  const int32_t *offsets, *groups;  // groups: first text of each, and behind the last
  int first_row;                    // of the batch, that `in` begins with
  float* pooled;
  int32_t* argmax;
  int C, V;
  HeadPooling pooling;
};

// What a text has of one term so far.
struct Pooled {
  float value;
  int32_t row;

  __device__ explicit Pooled(HeadPooling pooling) : value(pooling == HeadPooling::kMax ? -INFINITY : 0.0f), row(-1) {}
  __device__ void add(HeadPooling pooling, float z, int32_t t) {
    if (pooling == HeadPooling::kMax) {
      if (z > value) value = z, row = t;
      return;
    }
    const float weight = log1pf(fmaxf(z, 0.0f));
    value += pooling == HeadPooling::kSum ? weight : log1pf(weight);
  }
};

// Rows [first, first + 128) of a matrix, `chunk` of their columns, to shared memory; zeros beyond `rows`.
template <class Element>
__device__ __forceinline__ void load(char* to, const void* matrix, int stride, int64_t first, int64_t rows, int chunk) {
  constexpr int kPieces = kRowBytes / 16, kPerPiece = 16 / sizeof(Element), kPerChunk = kRowBytes / sizeof(Element);
  const auto* elements = static_cast<const Element*>(matrix);
  static_assert(kTokens * kPieces % kThreads == 0);
#pragma unroll
  for (int pass = 0; pass < kTokens * kPieces / kThreads; ++pass) {
    const int i = pass * kThreads + threadIdx.x;
    const int row = i / kPieces, piece = i % kPieces;
    const int column = chunk * kPerChunk + piece * kPerPiece;
    const bool inside = first + row < rows && column < stride;
    ptx::copy_async_16(to + row * kStrideBytes + piece * 16,
                       inside ? elements + (first + row) * stride + column : elements, inside ? 16 : 0);
  }
}

// That share a multiprocessor. Exact sums have no tensor cores to hold them, and int8 has scales: both want more
// registers.
template <class Arithmetic>
constexpr int kBlocks = std::is_same_v<Arithmetic, ExactFloat32> || std::is_same_v<Arithmetic, Int8> ? 1 : 2;

template <class Arithmetic>
__global__ void __launch_bounds__(kThreads, kBlocks<Arithmetic>) head(Head h) {
  using Element = typename Arithmetic::Element;
  constexpr int kPerChunk = kRowBytes / sizeof(Element), kStride = kStrideBytes / sizeof(Element);
  GPU_SHARED_ALIGN(16, char, stages, [kStages * kStageBytes]);
  auto* logits = reinterpret_cast<float*>(stages);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warp_row = warp / 4, warp_column = warp % 4;
  const int64_t first_term = int64_t{blockIdx.y} * kTerms;
  int text = h.groups[blockIdx.x];
  const int last_text = h.groups[blockIdx.x + 1];
  const int first_row = h.offsets[text], last_row = h.offsets[last_text];
  const int chunks = (h.C + kPerChunk - 1) / kPerChunk;

  // The thread's term, for the first 128 of them.
  const int64_t term = first_term + threadIdx.x;
  const bool pools = threadIdx.x < kTerms && term < h.V;
  const float bias = pools ? h.bias[term] : 0.0f;
  const float scale = pools && h.weight_scales != nullptr ? h.weight_scales[term] : 1.0f;
  Pooled pooled(h.pooling);
  const auto finish = [&](int text) {
    const size_t place = size_t(text) * h.V + term;
    h.pooled[place] = pooled.value;
    if (h.argmax != nullptr) h.argmax[place] = pooled.row;
    pooled = Pooled(h.pooling);
  };

  for (int row = first_row; row < last_row; row += kTokens) {
    const auto load_chunk = [&](int chunk) {
      char* stage = stages + chunk % kStages * kStageBytes;
      load<Element>(stage, h.in, h.in_stride, row - h.first_row, last_row - h.first_row, chunk);
      load<Element>(stage + kTokens * kStrideBytes, h.weight, h.weight_stride, first_term, h.V, chunk);
      ptx::copy_async_commit();
    };
    typename Arithmetic::Sum sum[4][4][4] = {};
    load_chunk(0);
    for (int chunk = 0; chunk < chunks; ++chunk) {
      if (chunk + 1 < chunks) {
        load_chunk(chunk + 1);
        ptx::copy_async_wait<1>();
      } else {
        ptx::copy_async_wait<0>();
      }
      __syncthreads();
      const auto* a = reinterpret_cast<const Element*>(stages + chunk % kStages * kStageBytes);
      const Element* b = a + kTokens * kStride;
      for (int k = 0; k < kPerChunk; k += Arithmetic::kStep) {
        Arithmetic::multiply(sum, a + warp_row * 64 * kStride + k, kStride, b + warp_column * 32 * kStride + k, kStride,
                             lane);
      }
      __syncthreads();
    }

    // Half of the tokens at a time: their logits take the place of the operands.
    for (int half = 0; half < 2; ++half) {
      if (warp_row == half) {
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
          for (int j = 0; j < 4; ++j)
#pragma unroll
            for (int e = 0; e < 4; ++e) {
              const int token = 16 * i + 8 * (e / 2) + lane / 4;
              logits[token * kLogits + warp_column * 32 + 8 * j + 2 * (lane % 4) + e % 2] =
                  static_cast<float>(sum[i][j][e]);
            }
      }
      __syncthreads();
      if (pools) {
        const int begin = row + half * kTokens / 2, end = min(begin + kTokens / 2, last_row);
        for (int t = begin; t < end; ++t) {
          while (t >= h.offsets[text + 1]) finish(text++);
          float z = logits[(t - begin) * kLogits + threadIdx.x];
          if (h.in_scales != nullptr) z *= h.in_scales[t - h.first_row] * scale;
          pooled.add(h.pooling, z + bias, t);
        }
      }
      __syncthreads();
    }
  }
  if (pools) {
    while (text < last_text) finish(text++);
  }
}

template <class Arithmetic>
void run(const Op& op, const SparseHeadForward& a) {
  std::vector<int32_t> groups{0};
  for (int text = 1; text <= a.B; ++text) {
    if (text == a.B || a.offsets[text + 1] - a.offsets[groups.back()] > kGroupTokens) groups.push_back(text);
  }
  const auto count = static_cast<int>(groups.size()) - 1;
  const int32_t *offsets = op.offsets(a.offsets, a.B), *groups_there = op.uploaded(groups);
  const Operand weight = operand_of(*a.weight);
  const auto run_groups = [&](int first, int last, const Operand& in, int first_row) {
    op.launch(head<Arithmetic>, dim3(last - first, blocks_of(a.V, kTerms)), kThreads, 0,
              Head{in.data, weight.data, in.stride, weight.stride, in.scales, weight.scales, a.bias, offsets,
                   groups_there + first, first_row, a.pooled, a.argmax, a.C, a.V, a.pooling});
  };
  const DataType type = a.weight->type;
  if (is_operand(type, a.in, a.C)) return run_groups(0, count, operand_from(op, type, a.in, a.T, a.C), 0);

  // Rows are converted some groups at a time: no more of them than take the memory of the pooled values, or one group.
  const auto row_of = [&](int group) { return a.offsets[groups[group]]; };
  const size_t most = static_cast<size_t>(a.B) * a.V * sizeof(float);
  std::vector<int> bands{0};  // first group of each, and behind the last
  int longest = 0;            // rows
  for (int group = 1; group <= count; ++group) {
    const int first_row = row_of(bands.back());
    if (group < count && operand_bytes(type, row_of(group + 1) - first_row, a.C) <= most) continue;
    longest = std::max(longest, row_of(group) - first_row);
    bands.push_back(group);
  }
  char* room = op.scratch<char>(operand_bytes(type, longest, a.C));
  for (size_t band = 0; band + 1 < bands.size(); ++band) {
    const int first = bands[band], last = bands[band + 1], first_row = row_of(first);
    const float* rows = a.in + int64_t{first_row} * a.C;
    run_groups(first, last, converted(op, type, rows, row_of(last) - first_row, a.C, room), first_row);
  }
}

}  // namespace

void sparse_head(void* self, const SparseHeadForward& a) {
  check(a);
  const Op op(self, "sparse_head");
  if (a.candidates != nullptr) {
    const auto all = static_cast<int32_t>(std::min<int64_t>(int64_t{a.B} * a.V, INT32_MAX));
    op.device().upload(a.candidates, &all, sizeof all);
  }
  if (a.B == 0 || a.V == 0) return;
  if (a.weight->type == DataType::kBfloat16) {
    run<Bfloat16>(op, a);
  } else if (a.weight->type == DataType::kInt8) {
    run<Int8>(op, a);
  } else if (op.device().tf32()) {
    run<Tf32>(op, a);
  } else {
    run<ExactFloat32>(op, a);
  }
}

}  // namespace fles::cuda
