#include "cpu/product.h"

namespace fles::cpu {

void multiply(State& state, const Product& p) {
  const Kernels& kernels = *state.kernels;
  const ProductKernels& products = p.products;
  const int group = rows_at_once(products, p.inner, p.rows);  // rows handed out together
  const int groups = (p.rows + group - 1) / group;
  const int width = panels_at_once(products, p.inner) * kernels.NR;  // columns handed out together
  const int widths = (p.columns + width - 1) / width;
  const int64_t block = products.block_bytes(p.inner);
  const int64_t panel = products.panel_bytes(p.inner);
  const size_t scratch = State::panel_scratch(products, p.inner);
  uint8_t* memory = state.panels.bytes(scratch * state.pool->size());
  state.pool->parallel_for(int64_t{groups} * widths, [&](int64_t work, int thread) {
    const int64_t first = work / widths * group;
    const int64_t column = work % widths * width;
    const int64_t place = first * p.columns + column;
    products.linear_panels({
        .blocks = p.blocks + first / products.MR * block,
        .panels = p.panels + column / kernels.NR * panel,
        .rows = static_cast<int>(p.rows - first < group ? p.rows - first : group),
        .columns = static_cast<int>(p.columns - column < width ? p.columns - column : width),
        .K = p.inner,
        .next = width * state.pool->size(),
        .bias = p.bias == nullptr ? nullptr : p.bias + column,
        .residual = p.residual == nullptr ? nullptr : p.residual + place,
        .out = p.out + place,
        .ld = p.columns,
        .activation = static_cast<int>(p.activation),
        .scratch = memory + scratch * thread,
    });
  });
}

}  // namespace fles::cpu
