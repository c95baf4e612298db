#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "cpu/backend_cpu.h"
#include "ops/checks.h"

namespace fles::cpu {
namespace {

// The head over all terms with one of the packed weights; a screen when there are norms of the rows.
void pool(State& state, const SparseHeadForward& a, const PackedMatrix& matrix, const float* row_norms) {
  const Kernels& kernels = *state.kernels;
  const ProductKernels& products = state.products(matrix, a.T, a.numerics);
  const uint8_t* blocks = pack_input(state, products, a.in, a.T, a.C);
  const auto* weight = static_cast<const uint8_t*>(matrix.data);
  const int64_t panel = products.panel_bytes(a.C);
  int32_t* argmax = row_norms == nullptr ? a.argmax : nullptr;
  const int at_once = panels_at_once(products, a.C) * kernels.NR;
  const int width = 4 * at_once;  // columns handed out together: rows are read from afar once for all of them
  const int widths = (a.V + width - 1) / width;
  // Running maxima of those columns for every text, and the rows they came from, for each thread.
  const size_t best = static_cast<size_t>(a.B) * width;
  const size_t bests = 2 * best * state.pool->size();
  float* memory = state.other.floats(bests + a.T);
  auto* row_text = reinterpret_cast<int32_t*>(memory + bests);
  for (int b = 0; b < a.B; ++b) std::fill(row_text + a.offsets[b], row_text + a.offsets[b + 1], b);
  const size_t scratch = State::panel_scratch(products, a.C);
  uint8_t* panels = state.panels.bytes(scratch * state.pool->size());
  state.pool->parallel_for(widths, [&](int64_t work, int thread) {
    const int64_t column = work * width;
    float* own = memory + 2 * best * thread;
    products.head_panels({
        .blocks = blocks,
        .panels = weight + column / kernels.NR * panel,
        .rows = a.T,
        .columns = static_cast<int>(a.V - column < width ? a.V - column : width),
        .K = a.C,
        .rows_at_once = rows_at_once(products, a.C, a.T),
        .columns_at_once = at_once,
        .next = width * (state.pool->size() - 1) + at_once,
        .bias = a.bias + column,
        .row_text = row_text,
        .texts = a.B,
        .pooling = static_cast<int>(a.pooling),
        .best = own,
        .best_row = argmax == nullptr ? nullptr : reinterpret_cast<int32_t*>(own + best),
        .pooled = a.pooled + column,
        .argmax = argmax == nullptr ? nullptr : argmax + column,
        .ld = a.V,
        .row_norms = row_norms,
        .scratch = panels + scratch * thread,
    });
  });
}

// What rounding to the type of a weight takes at most from a row of C values, as a share of its L2 norm.
double rounded(DataType type, int C) {
  if (type == DataType::kBfloat16) return std::ldexp(1.0, -8);  // it keeps 8 bits
  // Half a step each, of which the row's norm, rounded up by a sixteenth at most, has 32767 (int16.inl).
  if (type == DataType::kInt16) return 0.55 * std::sqrt(static_cast<double>(C)) / 32767;
  return 0;
}

// For each row: a bound on the L2 norm of what it is rounded to in int8, and one on what rounding it to that and to the
// type of the weight took from it; the second covers what rounding took from a column for the latter as well, and that
// a float32 sum of C products is itself off by at most C + 1 roundings.
std::vector<float> norms_of_rows(State& state, const SparseHeadForward& a) {
  constexpr int kLanes = 8;
  constexpr double kNearest = 0x1.8p52;  // adding it rounds to a whole number
  constexpr double kSlack = 1.0001;      // for the arithmetic of the bound
  const double share = rounded(a.weight->type, a.C);
  const double of_norm = 2 * share + share * share + (a.C + 16) * std::ldexp(1.0, -23);
  std::vector<float> norms(static_cast<size_t>(a.T) * 2);
  state.pool->parallel_for(a.T, [&](int64_t t, int) {
    const float* row = a.in + t * a.C;
    float largest = 0;
    for (int c = 0; c < a.C; ++c) largest = std::max(largest, std::fabs(row[c]));
    const double scale = largest / 127.0F;
    const float inverse = 127.0F / largest < INFINITY ? 127.0F / largest : 0.0F;
    double squares[kLanes] = {};
    double errors[kLanes] = {};
    const auto add = [&](int c, int lane) {
      const double error = row[c] - scale * (row[c] * inverse + kNearest - kNearest);
      squares[lane] += static_cast<double>(row[c]) * row[c];
      errors[lane] += error * error;
    };
    const int whole = a.C / kLanes * kLanes;
    for (int c = 0; c < whole; c += kLanes) {
      for (int lane = 0; lane < kLanes; ++lane) add(c + lane, lane);
    }
    for (int c = whole; c < a.C; ++c) add(c, 0);
    const double norm = std::sqrt(std::accumulate(squares, squares + kLanes, 0.0));
    const double rounding = std::sqrt(std::accumulate(errors, errors + kLanes, 0.0));
    norms[2 * t] = static_cast<float>((norm + rounding) * kSlack);
    norms[2 * t + 1] = static_cast<float>((rounding + norm * of_norm) * kSlack);
  });
  return norms;
}

// Some candidates of one text.
struct Part {
  int text, first, count;
};

// Computes the candidates exactly: their columns are gathered into panels and multiplied by the rows of their text.
void compute_candidates(State& state, const SparseHeadForward& a, const std::vector<int32_t>& terms,
                        const std::vector<Part>& parts, int most) {
  const Kernels& kernels = *state.kernels;
  const ProductKernels& products = state.products(*a.weight, a.T, a.numerics);
  int longest = 0;
  for (int b = 0; b < a.B; ++b) longest = std::max(longest, a.offsets[b + 1] - a.offsets[b]);
  const size_t block = products.block_bytes(a.C) / sizeof(float);
  const size_t panel = products.panel_bytes(a.C) / sizeof(float);
  // Every part begins on a cache line: g++ 12 turns the update of rows into a store that wants it.
  const auto lines = [](size_t floats) { return (floats + 15) / 16 * 16; };
  const size_t blocks = lines(block * ((longest + products.MR - 1) / products.MR));
  const size_t panels = lines(panel * ((most + kernels.NR - 1) / kernels.NR));
  const size_t padded_most = lines((static_cast<size_t>(most) + kernels.NR - 1) / kernels.NR * kernels.NR);
  const size_t each = blocks + panels + 5 * padded_most;
  float* memory = state.other.floats(each * state.pool->size());
  const std::vector<int32_t> row_text(longest, 0);
  const size_t scratch = State::panel_scratch(products, a.C);
  uint8_t* split = state.panels.bytes(scratch * state.pool->size());
  state.pool->parallel_for(static_cast<int64_t>(parts.size()), [&](int64_t work, int thread) {
    const Part& part = parts[work];
    const int32_t* own = terms.data() + part.first;
    const int first = a.offsets[part.text];
    const int rows = a.offsets[part.text + 1] - first;
    float* packed = memory + each * thread;
    float* gathered = packed + blocks;
    float* bias = gathered + panels;
    float* best = bias + padded_most;
    auto* best_row = reinterpret_cast<int32_t*>(best + padded_most);
    float* pooled = best + 2 * padded_most;
    auto* argmax = reinterpret_cast<int32_t*>(pooled + padded_most);
    for (int r = 0; r < rows; r += products.MR) {
      products.pack_block(a.in + int64_t{first + r} * a.C, std::min(products.MR, rows - r), a.C, a.C,
                          packed + r / products.MR * block);
    }
    products.gather_columns(a.weight->data, own, part.count, a.C, gathered);
    for (int i = 0; i < part.count; ++i) bias[i] = a.bias[own[i]];
    products.head_panels({
        .blocks = packed,
        .panels = gathered,
        .rows = rows,
        .columns = part.count,
        .K = a.C,
        .rows_at_once = rows_at_once(products, a.C, rows),
        .columns_at_once = panels_at_once(products, a.C) * kernels.NR,
        .next = 0,
        .bias = bias,
        .row_text = row_text.data(),
        .texts = 1,
        .pooling = static_cast<int>(a.pooling),
        .best = best,
        .best_row = a.argmax == nullptr ? nullptr : best_row,
        .pooled = pooled,
        .argmax = a.argmax == nullptr ? nullptr : argmax,
        .ld = part.count,
        .row_norms = nullptr,
        .scratch = split + scratch * thread,
    });
    for (int i = 0; i < part.count; ++i) {
      const int64_t place = int64_t{part.text} * a.V + own[i];
      a.pooled[place] = pooled[i];
      if (a.argmax != nullptr) a.argmax[place] = argmax[i] < 0 ? -1 : first + argmax[i];
    }
  });
}

// Upper bounds from int8 products, then the exact logits of the terms that can be above the cut; of all terms where a
// text has too few above it. Returns how many.
int64_t screened(State& state, const SparseHeadForward& a) {
  const std::vector<float> norms = norms_of_rows(state, a);
  pool(state, a, *a.screen, norms.data());
  const int most = 16 * state.kernels->NR;  // candidates handed out together
  std::vector<int32_t> terms;
  std::vector<Part> parts;
  for (int b = 0; b < a.B; ++b) {
    const size_t first = terms.size();
    float* bounds = a.pooled + int64_t{b} * a.V;
    for (int v = 0; v < a.V; ++v) {
      if (bounds[v] > a.cut) terms.push_back(v);
      bounds[v] = -std::numeric_limits<float>::infinity();
      if (a.argmax != nullptr) a.argmax[int64_t{b} * a.V + v] = -1;
    }
    for (size_t i = first; i < terms.size(); i += most) {
      parts.push_back({b, static_cast<int>(i), static_cast<int>(std::min<size_t>(most, terms.size() - i))});
    }
  }
  const auto count = static_cast<int64_t>(terms.size());
  // Where most terms are candidates the plain way is shorter.
  if (count > int64_t{a.B} * a.V / 4) {
    pool(state, a, *a.weight, nullptr);
    return count;
  }
  compute_candidates(state, a, terms, parts, most);
  for (int b = a.least == 0 ? a.B : a.least_from; b < a.B; ++b) {
    const float* pooled = a.pooled + int64_t{b} * a.V;
    if (a.offsets[b] == a.offsets[b + 1]) continue;
    if (std::count_if(pooled, pooled + a.V, [&](float z) { return z > a.cut; }) >= std::min(a.least, a.V)) continue;
    pool(state, a, *a.weight, nullptr);
    return int64_t{a.B} * a.V;
  }
  return count;
}

}  // namespace

void sparse_head(void* self, const SparseHeadForward& a) {
  State& state = state_of(self);
  const std::scoped_lock held(state.one_op);
  check(a);
  const bool screen = a.screen != nullptr;
  int64_t candidates = int64_t{a.B} * a.V;
  if (screen) {
    candidates = screened(state, a);
  } else {
    pool(state, a, *a.weight, nullptr);
  }
  if (a.candidates != nullptr) *a.candidates = static_cast<int32_t>(std::min<int64_t>(candidates, INT32_MAX));
}

}  // namespace fles::cpu
