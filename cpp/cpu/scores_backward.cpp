#include <algorithm>

#include "cpu/backend_cpu.h"

namespace fles::cpu {
namespace {

constexpr int kTerms = 1024;

// A row of gradients as the rows that it sums up and their factors.
struct Sum {
  int32_t* rows;
  float* factors;
  int count = 0;
  void add(int row, float factor) {
    if (factor == 0.0f) return;
    rows[count] = row;
    factors[count++] = factor;
  }
};

}  // namespace

void scores_backward(void* self, const ScoresBackward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  const size_t room = 2 * static_cast<size_t>(std::max(a.Q, a.D));
  float* memory = state.other.floats(room * state.pool->size());
  state.pool->parallel_for((a.V + kTerms - 1) / kTerms, [&](int64_t chunk, int thread) {
    const int64_t first = chunk * kTerms;
    const int terms = static_cast<int>(std::min<int64_t>(kTerms, a.V - first));
    float* own = memory + room * thread;
    const auto assign = [&](const float* others, const float* itself, float twice, Sum& sum, float* out) {
      for (int v = 0; v < terms; ++v) out[v] = 2.0f * twice * itself[v];
      state.kernels->gather_rows({others, a.V, sum.rows, sum.factors, sum.count, out, terms});
    };
    for (int q = 0; q < a.Q; ++q) {
      Sum sum{reinterpret_cast<int32_t*>(own), own + room / 2};
      for (int d = 0; d < a.D; ++d) sum.add(d, a.d_scores[int64_t{q} * a.D + d]);
      const int64_t place = int64_t{q} * a.V + first;
      assign(a.documents + first, a.queries + place, a.d_query_squares[q], sum, a.d_queries + place);
    }
    for (int d = 0; d < a.D; ++d) {
      Sum sum{reinterpret_cast<int32_t*>(own), own + room / 2};
      for (int q = 0; q < a.Q; ++q) sum.add(q, a.d_scores[int64_t{q} * a.D + d]);
      const int64_t place = int64_t{d} * a.V + first;
      assign(a.queries + first, a.documents + place, a.d_document_squares[d], sum, a.d_documents + place);
    }
  });
}

}  // namespace fles::cpu
