#include "cpu/backend_cpu.h"

namespace fles::cpu {

void embedding(void* self, const EmbeddingForward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  state.pool->parallel_for(a.B, [&](int64_t b, int) {
    for (int t = a.offsets[b]; t < a.offsets[b + 1]; ++t) {
      float* out = a.out + int64_t{t} * a.C;
      const float* word = a.word + int64_t{a.tokens[t]} * a.C;
      const float* position = a.position + int64_t{t - a.offsets[b]} * a.C;
      float* sum = a.sum == nullptr ? out : a.sum + int64_t{t} * a.C;
      state.kernels->add_rows(word, position, a.type, sum, a.C);
      state.kernels->layernorm_row(sum, a.gamma, a.beta, out, a.C, a.eps);
    }
  });
}

}  // namespace fles::cpu
