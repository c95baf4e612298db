#include "cpu/backend_cpu.h"

namespace fles::cpu {

void dense_pool_backward(void* self, const DensePoolBackward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  state.pool->parallel_for(a.B, [&](int64_t b, int) {
    const float* from = a.d_out + b * a.C;
    const int64_t first = a.offsets[b], end = a.offsets[b + 1];
    const auto tokens = static_cast<float>(end - first);
    for (int64_t t = first; t < end; ++t) {
      float* to = a.d_in + t * a.C;
      for (int c = 0; c < a.C; ++c) {
        to[c] = a.pooling == DensePooling::kMean ? from[c] / tokens : t == first ? from[c] : 0.0f;
      }
    }
  });
}

}  // namespace fles::cpu
