#include <algorithm>

#include "cpu/parts.h"
#include "cpu/product.h"
#include "ops/checks.h"

namespace fles::cpu {
namespace {

// Values of the inner dimension multiplied at once: in d_weight what keeps a panel in the second-level cache, and in
// int16 those that share a scale.
constexpr int kAtOnce = 1024;

// Columns of a matrix (rows, columns) as panels, all threads.
const uint8_t* pack_panels(State& state, const ProductKernels& products, const float* in, int rows, int columns) {
  const Kernels& kernels = *state.kernels;
  const int panels = (columns + kernels.NR - 1) / kernels.NR;
  const int64_t panel = products.panel_bytes(rows);
  uint8_t* packed = state.other.bytes(static_cast<size_t>(panel) * panels);
  state.pool->parallel_for(panels, [&](int64_t p, int) {
    const int64_t first = p * kernels.NR;
    const int count = static_cast<int>(columns - first < kernels.NR ? columns - first : kernels.NR);
    products.pack_panel(in + first, rows, columns, count, packed + p * panel);
  });
  return packed;
}

void add_column_sums(State& state, const LinearBackward& a) {
  const TrainKernels& train = state.kernels->train;
  const float* rows = a.d_out;
  int64_t count = a.T;
  // Each part of many rows sums into a row of its own, as it lies in memory; then these are added up.
  constexpr int kRows = 256;
  if (count > kRows) {
    float* sums = state.other.floats(static_cast<size_t>(part_count(a.T, kRows) * a.N));
    parallel_parts(*state.pool, a.T, kRows, [&](int64_t first, int64_t last) {
      float* sum = sums + first / kRows * a.N;
      std::fill_n(sum, a.N, 0.0f);
      train.add_chosen(a.d_out + first * a.N, a.N, nullptr, last - first, sum, a.N);
    });
    rows = sums, count = part_count(a.T, kRows);
  }
  constexpr int kColumns = 128;
  parallel_parts(*state.pool, a.N, kColumns, [&](int64_t first, int64_t last) {
    train.add_chosen(rows + first, a.N, nullptr, count, a.d_bias + first, static_cast<int>(last - first));
  });
}

// out (rows, columns) = left right, or += that, some of the inner dimension at a time.
struct PartsProduct {
  const float* left;  // (rows, inner), or its transpose (inner, rows)
  bool transposed;
  const float* right;  // (inner, columns)
  int rows, columns, inner;
  int at_once;
  float* out;
  bool add;
};

void multiply_parts(State& state, const ProductKernels& products, const PartsProduct& p) {
  for (int first = 0; first < p.inner || (first == 0 && !p.add); first += p.at_once) {
    const int some = std::min(p.at_once, p.inner - first);
    multiply(state, {.products = products,
                     .in = p.left + (p.transposed ? int64_t{first} * p.rows : first),
                     .ld = p.transposed ? p.rows : p.inner,
                     .transposed = p.transposed,
                     .panels = pack_panels(state, products, p.right + int64_t{first} * p.columns, some, p.columns),
                     .rows = p.rows,
                     .columns = p.columns,
                     .inner = some,
                     .bias = nullptr,
                     .residual = p.add || first > 0 ? p.out : nullptr,
                     .out = p.out,
                     .activation = Activation::kNone});
  }
}

}  // namespace

void linear_backward(void* self, const LinearBackward& a) {
  check(a);
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  const ProductKernels& products = state.products(a.type, a.T, Numerics::kFast);
  if (a.d_in != nullptr) {
    multiply_parts(state, products,
                   {.left = a.d_out,
                    .transposed = false,
                    .right = a.weight,
                    .rows = a.T,
                    .columns = a.K,
                    .inner = a.N,
                    .at_once = a.type == DataType::kInt16 ? kAtOnce : std::max(a.N, 1),
                    .out = a.d_in,
                    .add = false});
  }
  if (a.d_weight != nullptr) {
    multiply_parts(state, products,
                   {.left = a.d_out,
                    .transposed = true,
                    .right = a.in,
                    .rows = a.N,
                    .columns = a.K,
                    .inner = a.T,
                    .at_once = kAtOnce,
                    .out = a.d_weight,
                    .add = true});
  }
  if (a.d_bias != nullptr) add_column_sums(state, a);
}

}  // namespace fles::cpu
