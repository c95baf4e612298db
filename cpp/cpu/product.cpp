#include "cpu/product.h"

#include <algorithm>
#include <atomic>
#include <new>

namespace fles::cpu {
namespace {

// Rows that are multiplied by some panels before the next ones come. The thread that packs them has them in its cache,
// so each thread begins with rows of its own, and helps others when it is done with those. Where there are too few for
// that, they are packed beforehand.
struct alignas(64) Group {
  std::atomic<int> next_block{0}, packed{0}, next_width{0};
};

void pack(const Product& p, int block, uint8_t* to) {
  const int MR = p.products.MR;
  const int first = block * MR, rows = std::min(MR, p.rows - first);
  if (p.transposed) {
    p.products.pack_columns(p.in + first, p.inner, p.ld, rows, to);
  } else {
    p.products.pack_block(p.in + first * p.ld, rows, p.ld, p.inner, to);
  }
}

}  // namespace

void multiply(State& state, const Product& p) {
  const Kernels& kernels = *state.kernels;
  const ProductKernels& products = p.products;
  const int MR = products.MR;
  const int rows_of_group = rows_at_once(products, p.inner, p.rows, state.pool->size());
  const int group_blocks = rows_of_group / MR;
  const int blocks = (p.rows + MR - 1) / MR;
  const int count = (p.rows + rows_of_group - 1) / rows_of_group;
  const int width = panels_at_once(products, p.inner) * kernels.NR;  // columns handed out together
  const int widths = (p.columns + width - 1) / width;
  const int64_t block = products.block_bytes(p.inner);
  const int64_t panel = products.panel_bytes(p.inner);
  const size_t scratch = State::panel_scratch(products, p.inner);
  const int threads = state.pool->size();
  uint8_t* memory = state.panels.bytes(scratch * threads);
  uint8_t* packed = state.input.bytes(static_cast<size_t>(block) * blocks);
  auto* groups = reinterpret_cast<Group*>(state.groups.bytes(sizeof(Group) * count));
  for (int g = 0; g < count; ++g) new (groups + g) Group;

  const bool shared = count < threads;
  if (shared)
    state.pool->parallel_for(blocks, [&](int64_t b, int) { pack(p, static_cast<int>(b), packed + b * block); });

  const auto multiply_group = [&](int g, int thread) {
    Group& group = groups[g];
    const int first_block = g * group_blocks, own_blocks = std::min(group_blocks, blocks - first_block);
    for (int b = 0; !shared && (b = group.next_block.fetch_add(1)) < own_blocks; group.packed.fetch_add(1)) {
      pack(p, first_block + b, packed + (first_block + b) * block);
    }
    // Nobody waits for another, who may have lost the processor: whoever packs the last block goes on.
    if (!shared && group.packed.load() < own_blocks) return;
    const int first = g * rows_of_group;
    for (int w = 0; (w = group.next_width.fetch_add(1)) < widths;) {
      const int column = w * width;
      const int64_t place = int64_t{first} * p.columns + column;
      products.linear_panels({
          .blocks = packed + first_block * block,
          .panels = p.panels + column / kernels.NR * panel,
          .rows = std::min(rows_of_group, p.rows - first),
          .columns = std::min(width, p.columns - column),
          .K = p.inner,
          .next = width * (shared ? threads : 1),
          .bias = p.bias == nullptr ? nullptr : p.bias + column,
          .residual = p.residual == nullptr ? nullptr : p.residual + place,
          .out = p.out + place,
          .ld = p.columns,
          .activation = static_cast<int>(p.activation),
          .scratch = memory + scratch * thread,
      });
    }
  };
  state.pool->parallel_for(std::min(threads, count * widths), [&](int64_t starter, int thread) {
    const int start = static_cast<int>(starter * count / threads);
    for (int i = 0; i < 2 * count; ++i) multiply_group((start + i) % count, thread);
  });
}

}  // namespace fles::cpu
