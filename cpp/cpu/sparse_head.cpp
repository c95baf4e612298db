#include "core/error.h"
#include "cpu/backend_cpu.h"

namespace fles::cpu {

void sparse_head(void* self, const SparseHeadForward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  if (a.pooling != HeadPooling::kMax && a.argmax != nullptr) {
    fail("ERR_ARGUMENT_VALUE", "argmax is asked of a sum, which has none; pass null");
  }
  const Kernels& kernels = *state.kernels;
  const ProductKernels& products = state.products(a.weight->type);
  const uint8_t* blocks = pack_input(state, a.weight->type, a.in, a.T, a.C);
  const auto* weight = static_cast<const uint8_t*>(a.weight->data);
  const int64_t panel = products.panel_bytes(a.C);

  std::vector<int32_t> row_text(a.T);
  for (int b = 0; b < a.B; ++b) {
    for (int t = a.offsets[b]; t < a.offsets[b + 1]; ++t) row_text[t] = b;
  }
  const int width = panels_at_once(products, a.C) * kernels.NR;  // columns handed out together
  const int widths = (a.V + width - 1) / width;
  // Running maxima of those columns for every text, and the rows they came from, for each thread.
  const size_t best = static_cast<size_t>(a.B) * width;
  float* memory = state.other.floats(2 * best * state.pool->size());
  state.pool->parallel_for(widths, [&](int64_t work, int thread) {
    const int64_t column = work * width;
    float* own = memory + 2 * best * thread;
    products.head_panels({
        .blocks = blocks,
        .panels = weight + column / kernels.NR * panel,
        .rows = a.T,
        .columns = static_cast<int>(a.V - column < width ? a.V - column : width),
        .K = a.C,
        .bias = a.bias + column,
        .row_text = row_text.data(),
        .texts = a.B,
        .pooling = static_cast<int>(a.pooling),
        .best = own,
        .best_row = a.argmax == nullptr ? nullptr : reinterpret_cast<int32_t*>(own + best),
        .pooled = a.pooled + column,
        .argmax = a.argmax == nullptr ? nullptr : a.argmax + column,
        .ld = a.V,
    });
  });
}

}  // namespace fles::cpu
