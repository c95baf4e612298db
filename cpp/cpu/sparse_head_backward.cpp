#include <algorithm>
#include <cmath>
#include <cstring>

#include "cpu/product.h"
#include "ops/checks.h"

namespace fles::cpu {
namespace {

// The non-zero gradients of one row of the output: which rows of the other operand they multiply.
struct Entries {
  int32_t* rows;
  float* factors;
  int count = 0;
  void add(int64_t row, float factor) {
    rows[count] = static_cast<int32_t>(row);
    factors[count++] = factor;
  }
};

// d_weight and d_bias: a thread takes some terms and, for each, all texts.
void add_to_terms(State& state, const SparseHeadBackward& a) {
  constexpr int kTerms = 64;
  const size_t room = 2 * static_cast<size_t>(kTerms) * a.B;
  float* memory = state.other.floats(room * state.pool->size());
  state.pool->parallel_for((a.V + kTerms - 1) / kTerms, [&](int64_t chunk, int thread) {
    const int64_t first = chunk * kTerms;
    const int terms = static_cast<int>(std::min<int64_t>(kTerms, a.V - first));
    float* own = memory + room * thread;
    Entries entries[kTerms];
    for (int i = 0; i < terms; ++i) {
      float* at = own + 2 * static_cast<int64_t>(i) * a.B;
      entries[i] = {reinterpret_cast<int32_t*>(at), at + a.B};
    }
    for (int64_t b = 0; b < a.B; ++b) {
      const int64_t place = b * a.V + first;
      for (int i = 0; i < terms; ++i) {
        const float gradient = a.d_pooled[place + i];
        if (gradient != 0.0f && a.argmax[place + i] >= 0) entries[i].add(a.argmax[place + i], gradient);
      }
    }
    for (int i = 0; i < terms; ++i) {
      const Entries& e = entries[i];
      float* out = a.d_weight + (first + i) * a.C;
      state.kernels->gather_rows({a.in, a.C, e.rows, e.factors, e.count, out, a.C});
      for (int k = 0; k < e.count; ++k) a.d_bias[first + i] += e.factors[k];
    }
  });
}

// d_in: a thread takes some texts and, for each, all terms, a chunk at a time whose weights stay in the cache. Within a
// chunk the terms of one row come together, so that the row is read and written once.
void set_tokens(State& state, const SparseHeadBackward& a) {
  constexpr int kTexts = 8;
  constexpr int kTerms = 512;
  int longest = 0;
  for (int b = 0; b < a.B; ++b) longest = std::max(longest, a.offsets[b + 1] - a.offsets[b]);
  const size_t room = 2 * static_cast<size_t>(kTerms) + longest + 1;
  float* memory = state.other.floats(room * state.pool->size());
  state.pool->parallel_for((a.B + kTexts - 1) / kTexts, [&](int64_t group, int thread) {
    const int64_t last = std::min<int64_t>(a.B, (group + 1) * kTexts);
    auto* rows = reinterpret_cast<int32_t*>(memory + room * thread);
    auto* factors = reinterpret_cast<float*>(rows + kTerms);
    int32_t* ends = rows + 2 * kTerms;
    const int64_t begin = int64_t{a.offsets[group * kTexts]} * a.C;
    std::memset(a.d_in + begin, 0, static_cast<size_t>(int64_t{a.offsets[last]} * a.C - begin) * sizeof(float));
    for (int first = 0; first < a.V; first += kTerms) {
      const int terms = std::min(kTerms, a.V - first);
      for (int64_t b = group * kTexts; b < last; ++b) {
        const float* gradients = a.d_pooled + b * a.V + first;
        const int32_t* argmax = a.argmax + b * a.V + first;
        const int begin_row = a.offsets[b];
        const int length = a.offsets[b + 1] - begin_row;
        // Counting sort by row: ends[r] is the first place of row r, and once they are filled the one after its last.
        std::fill(ends, ends + length + 1, 0);
        for (int i = 0; i < terms; ++i) {
          if (gradients[i] != 0.0f && argmax[i] >= 0) ++ends[argmax[i] - begin_row + 1];
        }
        for (int r = 0; r < length; ++r) ends[r + 1] += ends[r];
        for (int i = 0; i < terms; ++i) {
          if (gradients[i] == 0.0f || argmax[i] < 0) continue;
          const int place = ends[argmax[i] - begin_row]++;
          rows[place] = first + i;
          factors[place] = gradients[i];
        }
        for (int r = 0, from = 0; r < length; from = ends[r++]) {
          if (ends[r] == from) continue;
          float* out = a.d_in + int64_t{begin_row + r} * a.C;
          state.kernels->gather_rows({a.weight, a.C, rows + from, factors + from, ends[r] - from, out, a.C});
        }
      }
    }
  });
}

// Turns logits into their gradients, one row.
void backward_row(float* z, const float* gradients, int terms, bool twice) {
  for (int i = 0; i < terms; ++i) {
    float slope = z[i] > 0.0f ? 1.0f / (1.0f + z[i]) : 0.0f;
    if (twice && slope > 0.0f) slope /= 1.0f + std::log1p(z[i]);
    z[i] = gradients[i] * slope;
  }
}

// Sums: some terms at a time, the logits as a product and their gradient through that of a linear layer.
void through_logits(void* self, State& state, const SparseHeadBackward& a) {
  constexpr int kTerms = 512;
  const Kernels& kernels = *state.kernels;
  const size_t logits = static_cast<size_t>(a.T) * kTerms;
  const size_t part = (static_cast<size_t>(a.T) * a.C + 15) / 16 * 16;
  const ProductKernels& products = state.products(DataType::kFloat32, a.T, Numerics::kFast);
  const int64_t panel = products.panel_bytes(a.C) / static_cast<int64_t>(sizeof(float));
  const size_t panels = (static_cast<size_t>(kTerms) + kernels.NR - 1) / kernels.NR * panel;
  float* z = state.outer.floats(logits + part + panels);
  float* d_in = z + logits;
  float* packed = d_in + part;
  for (int first = 0; first < a.V; first += kTerms) {
    const int terms = std::min(kTerms, a.V - first);
    const float* weight = a.weight + int64_t{first} * a.C;
    state.pool->parallel_for((terms + kernels.NR - 1) / kernels.NR, [&](int64_t p, int) {
      const int row = static_cast<int>(p) * kernels.NR;
      const int rows = std::min(kernels.NR, terms - row);
      // Columns beyond the last are multiplied too: they must be numbers.
      if (rows < kernels.NR) std::fill(packed + p * panel, packed + (p + 1) * panel, 0.0f);
      products.pack_weight(weight + int64_t{row} * a.C, rows, row, a.C, packed);
    });
    multiply(state, {.products = products,
                     .in = a.in,
                     .ld = a.C,
                     .transposed = false,
                     .panels = reinterpret_cast<const uint8_t*>(packed),
                     .rows = a.T,
                     .columns = terms,
                     .inner = a.C,
                     .bias = a.bias + first,
                     .residual = nullptr,
                     .out = z,
                     .activation = Activation::kNone});
    state.pool->parallel_for(a.B, [&](int64_t b, int) {
      for (int64_t t = a.offsets[b]; t < a.offsets[b + 1]; ++t) {
        backward_row(z + t * terms, a.d_pooled + b * a.V + first, terms, a.pooling == HeadPooling::kSumLog1p);
      }
    });
    linear_backward(self, {.d_out = z,
                           .in = a.in,
                           .weight = weight,
                           .d_in = first == 0 ? a.d_in : d_in,
                           .d_weight = a.d_weight + int64_t{first} * a.C,
                           .d_bias = a.d_bias + first,
                           .T = a.T,
                           .N = terms,
                           .K = a.C,
                           .type = DataType::kFloat32});
    if (first == 0) continue;
    constexpr int64_t kValues = 1 << 14;
    const int64_t count = int64_t{a.T} * a.C;
    state.pool->parallel_for((count + kValues - 1) / kValues, [&](int64_t i, int) {
      const int64_t last = std::min(count, (i + 1) * kValues);
      for (int64_t at = i * kValues; at < last; ++at) a.d_in[at] += d_in[at];
    });
  }
  if (a.V == 0) std::fill(a.d_in, a.d_in + int64_t{a.T} * a.C, 0.0f);
}

}  // namespace

void sparse_head_backward(void* self, const SparseHeadBackward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  check(a);
  if (a.pooling != HeadPooling::kMax) return through_logits(self, state, a);
  add_to_terms(state, a);
  set_tokens(state, a);
}

}  // namespace fles::cpu
