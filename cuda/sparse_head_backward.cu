// ops/sparse_head_backward.h. With max pooling a term has a gradient at one row of a text: the terms of a text that
// have one are listed in their order, a warp for a row of `in` takes those of its row, and a warp for a term goes
// through the texts. No float atomics: every sum has its order. With sums the logits are computed again, some terms at
// a time.
#include <algorithm>

#include "column_sums.h"
#include "operand.h"
#include "ops/checks.h"

namespace fles::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
constexpr int kColumns = 256;  // of a warp, eight a lane

// The terms of a text with a gradient, ascending: a block a text.
__global__ void list_terms(const float* d_pooled, const int32_t* argmax, int V, int32_t* terms, int32_t* counts) {
  GPU_SHARED(int, found, [kWarps]);
  const size_t first = size_t(blockIdx.x) * V;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  int count = 0;
  for (int begin = 0; begin < V; begin += kThreads) {
    const int v = begin + threadIdx.x;
    const bool has = v < V && d_pooled[first + v] != 0 && argmax[first + v] >= 0;
    const unsigned mask = __ballot_sync(kFullWarp, has);
    if (lane == 0) found[warp] = __popc(mask);
    __syncthreads();
    int place = count + __popc(mask & ((1U << lane) - 1));
    for (int w = 0; w < kWarps; ++w) {
      if (w < warp) place += found[w];
      count += found[w];
    }
    if (has) terms[first + place] = v;
    __syncthreads();
  }
  if (threadIdx.x == 0) counts[blockIdx.x] = count;
}

struct Listed {
  const int32_t *terms, *counts, *argmax;
};

// A row of a matrix and what it is multiplied by.
struct Product {
  int row;
  float factor;
};

// Adds the products of 0..count-1 up, in their order, by a warp: lane l gets columns 32 k + l of the `columns` that
// there are. A lane looks up every 32nd product; those with a factor of 0 are passed over. Returns the sum of the
// factors.
template <class ProductOf>
__device__ __forceinline__ float add_products(float (&sum)[kColumns / 32], const float* rows, int stride, int columns,
                                              int count, const ProductOf& product_of) {
  const int lane = threadIdx.x % 32;
  float factors = 0;
  for (int begin = 0; begin < count; begin += 32) {
    const Product own = begin + lane < count ? product_of(begin + lane) : Product{0, 0.0f};
    for (unsigned mask = __ballot_sync(kFullWarp, own.factor != 0); mask != 0; mask &= mask - 1) {
      const int from = __ffs(static_cast<int>(mask)) - 1;
      const float* row = rows + size_t(__shfl_sync(kFullWarp, own.row, from)) * stride;
      const float factor = __shfl_sync(kFullWarp, own.factor, from);
      factors += factor;
#pragma unroll
      for (int k = 0; k < kColumns / 32; ++k) {
        if (32 * k + lane < columns) sum[k] += factor * row[32 * k + lane];
      }
    }
  }
  return factors;
}

// d_in: a warp for 256 columns of a row.
__global__ void rows_backward(Listed listed, const float* d_pooled, const float* weight, const int32_t* text_of_row,
                              float* d_in, int T, int C, int V) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (row >= T) return;
  const int lane = threadIdx.x % 32, column = blockIdx.y * kColumns, text = text_of_row[row];
  const size_t first = size_t(text) * V;
  float sum[kColumns / 32] = {};
  add_products(sum, weight + column, C, C - column, listed.counts[text], [&](int i) {
    const int term = listed.terms[first + i];
    return Product{term, listed.argmax[first + term] == row ? d_pooled[first + term] : 0.0f};
  });
#pragma unroll
  for (int k = 0; k < kColumns / 32; ++k) {
    if (column + 32 * k + lane < C) d_in[row * C + column + 32 * k + lane] = sum[k];
  }
}

// d_weight and d_bias: a warp for 256 columns of a term.
__global__ void terms_backward(const float* d_pooled, const int32_t* argmax, const float* in, float* d_weight,
                               float* d_bias, int B, int C, int V) {
  const int64_t term = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (term >= V) return;
  const int lane = threadIdx.x % 32, column = blockIdx.y * kColumns;
  float sum[kColumns / 32] = {};
  const float bias = add_products(sum, in + column, C, C - column, B, [&](int b) {
    const size_t place = size_t(b) * V + term;
    return Product{argmax[place], argmax[place] >= 0 ? d_pooled[place] : 0.0f};
  });
#pragma unroll
  for (int k = 0; k < kColumns / 32; ++k) {
    if (column + 32 * k + lane < C) d_weight[term * C + column + 32 * k + lane] += sum[k];
  }
  if (column == 0 && lane == 0) d_bias[term] += bias;
}

void max_backward(const Op& op, const SparseHeadBackward& a, const std::vector<int32_t>& text_of_row) {
  const size_t places = static_cast<size_t>(a.B) * a.V;
  auto* terms = op.scratch<int32_t>(places);
  auto* counts = op.scratch<int32_t>(a.B);
  op.launch(list_terms, a.B, kThreads, 0, a.d_pooled, a.argmax, a.V, terms, counts);
  const unsigned columns = blocks_of(a.C, kColumns);
  op.launch(rows_backward, dim3(blocks_of(a.T, kWarps), columns), kThreads, 0, Listed{terms, counts, a.argmax},
            a.d_pooled, a.weight, op.uploaded(text_of_row), a.d_in, a.T, a.C, a.V);
  op.launch(terms_backward, dim3(blocks_of(a.V, kWarps), columns), kThreads, 0, a.d_pooled, a.argmax, a.in, a.d_weight,
            a.d_bias, a.B, a.C, a.V);
}

// Logits without their bias to their gradients, in place.
__global__ void logits_backward(float* logits, const float* d_pooled, const float* bias, const int32_t* text_of_row,
                                int64_t count, int first_term, int terms, int V, HeadPooling pooling) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= count) return;
  const int term = first_term + static_cast<int>(i % terms);
  const float z = logits[i] + bias[term];
  float gradient = 0;
  if (z > 0) {
    gradient = d_pooled[size_t(text_of_row[i / terms]) * V + term] / (1 + z);
    if (pooling == HeadPooling::kSumLog1p) gradient /= 1 + log1pf(z);
  }
  logits[i] = gradient;
}

void sum_backward(const Op& op, const SparseHeadBackward& a, const std::vector<int32_t>& text_of_row) {
  constexpr int kTerms = 128;  // whose logits take less room than what the forward pass gave
  auto* logits = op.scratch<float>(static_cast<size_t>(a.T) * kTerms);
  auto* room = op.scratch<float>(column_sums_room(a.T, kTerms));
  const int32_t* texts = op.uploaded(text_of_row);
  // Row-major float32 matrices without gaps; the gradients are added to what is there.
  const auto multiply = [&](bool transpose_a, bool transpose_b, int m, int n, int k, const float* x, int ldx,
                            const float* y, int ldy, float* out, int ldo, float beta, bool exact = false) {
    op.device().multiply({transpose_a, transpose_b, m, n, k, x, cublas::kFloat32, ldx, y, cublas::kFloat32, ldy, out,
                          cublas::kFloat32, ldo, beta, exact});
  };
  for (int first = 0; first < a.V; first += kTerms) {
    const int terms = std::min(kTerms, a.V - first);
    const float* weight = a.weight + size_t(first) * a.C;
    const int64_t count = int64_t{a.T} * terms;
    // Exact: the gradient jumps where a logit changes its sign.
    multiply(false, true, a.T, terms, a.C, a.in, a.C, weight, a.C, logits, terms, 0, true);
    op.launch(logits_backward, blocks_of(count, kThreads), kThreads, 0, logits, a.d_pooled, a.bias, texts, count, first,
              terms, a.V, a.pooling);
    multiply(false, false, a.T, a.C, terms, logits, terms, weight, a.C, a.d_in, a.C, first == 0 ? 0.0f : 1.0f);
    multiply(true, false, terms, a.C, a.T, logits, terms, a.in, a.C, a.d_weight + size_t(first) * a.C, a.C, 1);
    add_column_sums(op, logits, a.T, terms, a.d_bias + first, room);
  }
}

}  // namespace

void sparse_head_backward(void* self, const SparseHeadBackward& a) {
  check(a);
  if (a.T == 0 || a.C == 0) return;
  const Op op(self, "sparse_head_backward");
  if (a.V == 0) return op.device().clear(a.d_in, sizeof(float) * a.T * a.C);
  std::vector<int32_t> text_of_row;
  for (int text = 0; text < a.B; ++text) {
    text_of_row.insert(text_of_row.end(), a.offsets[text + 1] - a.offsets[text], text);
  }
  if (a.pooling == HeadPooling::kMax) {
    max_backward(op, a, text_of_row);
  } else {
    sum_backward(op, a, text_of_row);
  }
}

}  // namespace fles::cuda
