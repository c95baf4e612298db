// The inner loops of the CPU backend, compiled once for each instruction set and chosen at run time.
//
// Matrix products read packed operands. A weight [N, K] is cut into panels of NR rows, an input (T, K) into blocks of
// MR rows; a step of a type's multiplication takes 1, 2 or 4 neighbouring values of K, and these stand together
// (types.inl). Both are padded with zeros, K up to a multiple of 4 to 64, in float32 to padded(K). A tile of MR x NR
// sums stays in registers over the whole of K (Goto and van de Geijn 2008, "Anatomy of high-performance matrix
// multiplication"), so the epilogue sees final values, and a sum is formed in the same order whatever stands beside it
// in the batch.
#pragma once
#include <cstddef>
#include <cstdint>

#include "cpu/train.h"
#include "ops/packed_matrix.h"

namespace fles::cpu {

constexpr int kGroup = 4;
constexpr int padded(int K) { return (K + kGroup - 1) / kGroup * kGroup; }

// Panels are multiplied a few at a time (panels_at_once): those stay in the second-level cache while the blocks stream
// past once for all of them.
struct LinearPanels {
  const void* blocks;  // packed input, from the first block on
  const void* panels;  // packed weight, from the first panel on
  int rows, columns;   // rows of the input; columns that exist, of as many panels as they fill
  int K;
  int next;               // columns from these to those that this thread is likely to multiply after them
  const float* bias;      // of the first column, or null
  const float* residual;  // (rows, ld) from the first column on, or null
  float* out;             // likewise
  int64_t ld;
  int activation;  // fles::Activation
  void* scratch;   // 64-byte aligned, for all these panels
};

struct HeadPanels {
  const void* blocks;
  const void* panels;
  int rows, columns, K;
  int rows_at_once, columns_at_once;  // whole blocks and panels
  int next;  // columns from the last ones at once to those that this thread is likely to multiply after them
  const float* bias;
  const int32_t* row_text;  // (rows) text of each row
  int texts;
  int pooling;        // fles::HeadPooling
  float* best;        // (panels, texts, NR) scratch
  int32_t* best_row;  // (panels, texts, NR) scratch, or null when argmax is not wanted
  float* pooled;      // (texts, ld) from the first column on
  int32_t* argmax;    // likewise, or null
  int64_t ld;
  // Of int8, for a screen: (rows, 2) bounds on the L2 norm of each rounded row and on what rounding took from it.
  // Pooled is then the maximum of upper bounds on the logits, by Cauchy and Schwarz: |x w - x'w'| <= |x - x'| |w| +
  // |x'| |w - w'|.
  const float* row_norms;
  void* scratch;  // 64-byte aligned, for the panels at once
};

// Matrix products of one DataType.
struct ProductKernels {
  int MR;  // rows of a block
  int64_t (*block_bytes)(int K);
  int64_t (*panel_bytes)(int K);
  int64_t (*scratch_bytes)(int K);  // of a panel that is multiplied in another form than it is kept in, else 0
  void (*pack_weight)(const float* rows, int count, int first, int K, void* packed);
  void (*pack_block)(const float* in, int rows, int64_t ld, int K, void* block);
  void (*linear_panels)(const LinearPanels&);
  void (*head_panels)(const HeadPanels&);
  // Columns of a packed weight, `count` of them, gathered into panels of their own.
  void (*gather_columns)(const void* packed, const int32_t* columns, int count, int K, void* panels);
  // For the backward pass, null in int8. A block of `count` columns of a matrix (rows, ld): their transpose, packed as
  // pack_block packs rows.
  void (*pack_columns)(const float* in, int rows, int64_t ld, int count, void* block);
  // A panel of `count` columns of a matrix (rows, ld), rows being the inner dimension.
  void (*pack_panel)(const float* in, int rows, int64_t ld, int count, void* panel);
};

// Whether blocks and panels begin with scales, of whole rows and columns.
inline bool has_scales(const ProductKernels& products) { return products.block_bytes(0) > 0; }

struct AttentionHead {
  const float *q, *k, *v;  // (S, ld), D columns each
  int64_t ld;
  float* out;  // (S, ld_out)
  int64_t ld_out;
  float* log_sums;  // (S, ld_log_sums), one column, or null
  int64_t ld_log_sums;
  int S, D;
  float scale;
  Dropout dropout;       // cut is 0 where there is none
  uint64_t first_block;  // of draws of the head's first row
  float* scratch;        // attention_scratch(S, D) or rounded_attention_scratch(S, D) floats, 64-byte aligned
};

struct AttentionBackwardHead {
  const float *q, *k, *v;    // (S, ld), D columns each
  float *d_q, *d_k, *d_v;    // likewise
  const float *out, *d_out;  // (S, ld_out)
  int64_t ld, ld_out;
  const float* log_sums;  // (S, ld_log_sums), one column
  int64_t ld_log_sums;
  int S, D;
  float scale;
  Dropout dropout;       // cut is 0 where there is none
  uint64_t first_block;  // of draws of the head's first row
  float* scratch;        // attention_backward_scratch(S, D) floats, 64-byte aligned
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
  const char* name;  // as in levels.txt, or "portable"
  int NR;            // columns of a panel
  bool bfloat16;     // whether there are instructions for products of it
  ProductKernels products[kDataTypes];
  // Of float32 as parts of bfloat16, as exact and faster for many rows; MR is 0 where there are none. Their panels are
  // those of float32 where K is a multiple of 32.
  ProductKernels split;
  void (*attention_head)(const AttentionHead&);
  size_t (*attention_scratch)(int S, int D);
  // With products of bfloat16 or of whole numbers of 16 bits, without dropout and log sums: faster for texts of so many
  // tokens and more. Null where it would not be.
  void (*rounded_attention_head)(const AttentionHead&);
  size_t (*rounded_attention_scratch)(int S, int D);
  int rounded_attention_tokens;
  bool rounded_attention_in_int8;  // whether it gives so much time there that what it takes from rankings is worth it
  void (*attention_backward_head)(const AttentionBackwardHead&);
  size_t (*attention_backward_scratch)(int S, int D);
  void (*add_rows)(const float* a, const float* b, const float* c, float* out, int C);  // c may be null
  void (*layernorm_row)(const float* in, const float* gamma, const float* beta, float* out, int C, float eps);
  void (*gather_rows)(const GatherRows&);
  float (*dot)(const float* a, const float* b, int count);
  // out = e^(in - shift), which may be `in`; returns the sum, NaN where a value of `in` is not finite. in <= shift.
  double (*exp_row)(const float* in, float shift, float* out, int count);
  float (*multiply_add_chains)(int64_t steps, float factor, float term);
  int chain_flops;  // of one step
  TrainKernels train;
};

// Panels of inner dimension K to multiply at once: 256 KiB of them, or 1 MiB of those in another form, which take the
// longer to multiply by a row.
inline int panels_at_once(const ProductKernels& products, int K) {
  constexpr int kMost = 16;
  const int64_t scratch = products.scratch_bytes(K);
  const int64_t count = scratch > 0 ? (1 << 20) / scratch : (256 << 10) / (products.panel_bytes(K) + 1);
  return count > kMost ? kMost : count < 1 ? 1 : static_cast<int>(count);
}

// How many of these rows of inner dimension K to multiply by these before the next panels: 1 MiB of blocks at most,
// which are near when those come, or as many as make it worth to have brought panels into another form. Equal parts of
// the rows, since few of them would wait for every panel; about as many for each thread, where there are blocks
// enough.
inline int rows_at_once(const ProductKernels& products, int K, int rows, int threads = 1) {
  constexpr int kBytes = 1 << 20, kRows = 512, kBlocks = 8;
  const int64_t fit = products.scratch_bytes(K) > 0 ? kRows / products.MR : kBytes / (products.block_bytes(K) + 1);
  const int most = fit < 1 ? 1 : static_cast<int>(fit);
  const int blocks = (rows + products.MR - 1) / products.MR;
  int parts = (blocks + most - 1) / most;
  if (blocks >= threads * kBlocks) parts = (parts + threads - 1) / threads * threads;
  return products.MR * (parts <= 1 ? most : (blocks + parts - 1) / parts);
}

}  // namespace fles::cpu
