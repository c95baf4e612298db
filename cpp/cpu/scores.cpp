#include "cpu/backend_cpu.h"

namespace fles::cpu {

void scores(void* self, const ScoresForward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  const auto dot = state.kernels->dot;
  state.pool->parallel_for(a.D, [&](int64_t d, int) {
    const float* document = a.documents + d * a.V;
    for (int64_t q = 0; q < a.Q; ++q) a.scores[q * a.D + d] = dot(a.queries + q * a.V, document, a.V);
    a.document_squares[d] = dot(document, document, a.V);
  });
  for (int64_t q = 0; q < a.Q; ++q) {
    const float* query = a.queries + q * a.V;
    a.query_squares[q] = dot(query, query, a.V);
  }
}

}  // namespace fles::cpu
