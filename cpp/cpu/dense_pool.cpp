#include <algorithm>
#include <cmath>

#include "cpu/backend_cpu.h"

namespace fles::cpu {

void dense_pool(void* self, const DensePoolForward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  state.pool->parallel_for(a.B, [&](int64_t b, int) {
    float* out = a.out + b * a.C;
    std::fill_n(out, a.C, 0.0f);
    const int64_t first = a.offsets[b];
    const int64_t rows = a.pooling == DensePooling::kCls ? std::min(1, a.offsets[b + 1] - a.offsets[b])
                                                         : a.offsets[b + 1] - a.offsets[b];
    if (rows == 0) return;
    for (int64_t t = first; t < first + rows; ++t) {
      for (int c = 0; c < a.C; ++c) out[c] += a.in[t * a.C + c];
    }
    float scale = 1.0f / static_cast<float>(rows);
    if (a.normalize != 0) {
      double squares = 0;
      for (int c = 0; c < a.C; ++c) squares += static_cast<double>(out[c]) * out[c];
      scale = squares > 0 ? static_cast<float>(1.0 / std::sqrt(squares)) : 0.0f;
    }
    for (int c = 0; c < a.C; ++c) out[c] *= scale;
  });
}

}  // namespace fles::cpu
