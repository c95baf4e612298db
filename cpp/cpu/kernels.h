// The inner loops of the CPU backend, compiled once for each instruction set and chosen at run time.
//
// Matrix products read packed operands. A weight [N, K] is cut into panels of NR rows, each stored [K][NR]; an input
// (T, K) into blocks of MR rows, each stored [K / 4][MR][4], so that packing copies four values at a time. Both are
// padded with zeros, K up to padded(K), a multiple of 4. A tile of MR x NR sums stays in registers over the whole of K
// (Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication"), so the epilogue sees final values,
// and a sum is formed in the same order whatever stands beside it in the batch.
#pragma once
#include <cstddef>
#include <cstdint>

#include "cpu/train.h"

namespace fles::cpu {

constexpr int kGroup = 4;
constexpr int padded(int K) { return (K + kGroup - 1) / kGroup * kGroup; }

// Panels are multiplied a few at a time (panels_at_once): those stay in the second-level cache while the blocks stream
// past once for all of them.
struct LinearPanels {
  const float* blocks;  // packed input, from the first block on
  const float* panels;  // packed weight, from the first panel on
  int rows, columns;    // rows of the input; columns that exist, of as many panels as they fill
  int K;
  const float* bias;      // of the first column, or null
  const float* residual;  // (rows, ld) from the first column on, or null
  float* out;             // likewise
  int64_t ld;
  int activation;  // fles::Activation
};

struct HeadPanels {
  const float* blocks;
  const float* panels;
  int rows, columns, K;
  const float* bias;
  const int32_t* row_text;  // (rows) text of each row
  int texts;
  int pooling;        // fles::HeadPooling
  float* best;        // (panels, texts, NR) scratch
  int32_t* best_row;  // (panels, texts, NR) scratch, or null when argmax is not wanted
  float* pooled;      // (texts, ld) from the first column on
  int32_t* argmax;    // likewise, or null
  int64_t ld;
};

struct AttentionHead {
  const float *q, *k, *v;  // (S, ld), D columns each
  int64_t ld;
  float* out;  // (S, ld_out)
  int64_t ld_out;
  int S, D;
  float scale;
  float* scratch;  // attention_scratch(S, D) floats, 64-byte aligned
};

// out += sum over i of factors[i] * row rows[i] of `in` (.., ld), C values each, in the order of i.
struct GatherRows {
  const float* in;
  int64_t ld;
  const int32_t* rows;
  const float* factors;
  int count;
  float* out;
  int C;
};

struct Kernels {
  const char* name;  // "portable" | "avx2" | "avx512"
  int MR, NR;
  void (*pack_weight)(const float* rows, int count, int first, int K, float* packed);
  void (*pack_block)(const float* in, int rows, int64_t ld, int K, float scale, float* block);
  // A block of `count` columns of a matrix (rows, ld): their transpose, packed as pack_block packs rows.
  void (*pack_columns)(const float* in, int rows, int64_t ld, int count, float* block);
  // A panel of `count` columns of a matrix (rows, ld), rows being the inner dimension.
  void (*pack_panel)(const float* in, int rows, int64_t ld, int count, float* panel);
  void (*linear_panels)(const LinearPanels&);
  void (*head_panels)(const HeadPanels&);
  void (*attention_head)(const AttentionHead&);
  size_t (*attention_scratch)(int S, int D);
  void (*add_rows)(const float* a, const float* b, const float* c, float* out, int C);  // c may be null
  void (*layernorm_row)(const float* in, const float* gamma, const float* beta, float* out, int C, float eps);
  void (*gather_rows)(const GatherRows&);
  float (*dot)(const float* a, const float* b, int count);
  float (*multiply_add_chains)(int64_t steps, float factor, float term);
  int chain_flops;  // of one step
  TrainKernels train;
};

// Panels of inner dimension K to multiply at once: 256 KiB of them.
inline int panels_at_once(const Kernels& kernels, int K) {
  const int64_t panel = int64_t{padded(K)} * kernels.NR * static_cast<int64_t>(sizeof(float));
  constexpr int kBytes = 256 << 10;
  constexpr int kMost = 16;
  return panel * kMost <= kBytes ? kMost : panel >= kBytes ? 1 : static_cast<int>(kBytes / panel);
}

// Null where this build has no such code (another processor family).
const Kernels* portable_kernels();
const Kernels* avx2_kernels();
const Kernels* avx512_kernels();

}  // namespace fles::cpu
