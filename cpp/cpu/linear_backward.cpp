#include <algorithm>

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
  constexpr int kColumns = 64;
  state.pool->parallel_for((a.N + kColumns - 1) / kColumns, [&](int64_t group, int) {
    const int64_t first = group * kColumns;
    const int64_t last = std::min<int64_t>(a.N, first + kColumns);
    for (int64_t t = 0; t < a.T; ++t) {
      for (int64_t n = first; n < last; ++n) a.d_bias[n] += a.d_out[t * a.N + n];
    }
  });
}

}  // namespace

void linear_backward(void* self, const LinearBackward& a) {
  check(a);
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  const ProductKernels& products = state.products(a.type, a.T, Numerics::kFast);
  if (a.d_in != nullptr) {
    const int at_once = a.type == DataType::kInt16 ? kAtOnce : std::max(a.N, 1);
    for (int first = 0; first == 0 || first < a.N; first += at_once) {
      const int columns = std::min(at_once, a.N - first);
      multiply(state, {.products = products,
                       .in = a.d_out + first,
                       .ld = a.N,
                       .transposed = false,
                       .panels = pack_panels(state, products, a.weight + int64_t{first} * a.K, columns, a.K),
                       .rows = a.T,
                       .columns = a.K,
                       .inner = columns,
                       .bias = nullptr,
                       .residual = first == 0 ? nullptr : a.d_in,
                       .out = a.d_in,
                       .activation = Activation::kNone});
    }
  }
  if (a.d_weight != nullptr) {
    for (int first = 0; first < a.T; first += kAtOnce) {
      const int rows = std::min(kAtOnce, a.T - first);
      multiply(state, {.products = products,
                       .in = a.d_out + int64_t{first} * a.N,
                       .ld = a.N,
                       .transposed = true,
                       .panels = pack_panels(state, products, a.in + int64_t{first} * a.K, rows, a.K),
                       .rows = a.N,
                       .columns = a.K,
                       .inner = rows,
                       .bias = nullptr,
                       .residual = a.d_weight,
                       .out = a.d_weight,
                       .activation = Activation::kNone});
    }
  }
  if (a.d_bias != nullptr) add_column_sums(state, a);
}

}  // namespace fles::cpu
