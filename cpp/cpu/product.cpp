#include "cpu/product.h"

namespace fles::cpu {

void multiply(State& state, const Product& p) {
  const Kernels& kernels = *state.kernels;
  // A group of rows stays in cache while the panels stream past.
  const int group = 36 * kernels.MR;
  const int groups = (p.rows + group - 1) / group;
  const int panels = (p.columns + kernels.NR - 1) / kernels.NR;
  const int64_t inner = padded(p.inner);
  state.pool->parallel_for(int64_t{groups} * panels, [&](int64_t work, int) {
    const int64_t first = work / panels * group;
    const int64_t column = work % panels * kernels.NR;
    const int64_t place = first * p.columns + column;
    kernels.linear_panel({
        .blocks = p.blocks + first * inner,
        .panel = p.panels + column * inner,
        .rows = static_cast<int>(p.rows - first < group ? p.rows - first : group),
        .columns = static_cast<int>(p.columns - column < kernels.NR ? p.columns - column : kernels.NR),
        .K = p.inner,
        .bias = p.bias == nullptr ? nullptr : p.bias + column,
        .residual = p.residual == nullptr ? nullptr : p.residual + place,
        .out = p.out + place,
        .ld = p.columns,
        .activation = static_cast<int>(p.activation),
    });
  });
}

}  // namespace fles::cpu
