// One instruction set's table. FLES_LEVEL (its name), FLES_VECTOR_BYTES and FLES_MR are defined by the including file.
#include "cpu/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace fles::cpu {
namespace FLES_LEVEL {
// clang-format off
#include "cpu/simd.inl"
#include "cpu/transpose.inl"
#include "cpu/types.inl"
#include "cpu/tile.inl"
#include "cpu/packing.inl"
#include "cpu/matrix.inl"
#include "cpu/rows.inl"
#include "cpu/roofline.inl"
#include "cpu/random.inl"
#include "cpu/attention.inl"
#include "cpu/attention_backward.inl"
#include "cpu/train.inl"
// clang-format on

// The members of ProductKernels, in its order.
#define FLES_PRODUCTS(Type, type, gather, pack_columns, pack_panel) \
  {block_bytes<Type>,                                               \
   panel_bytes<Type>,                                               \
   pack_weight_##type,                                              \
   pack_block_##type,                                               \
   linear_panels<Type>,                                             \
   head_panels<Type>,                                               \
   gather,                                                          \
   pack_columns,                                                    \
   pack_panel}
#define FLES_TEXT_OF(name) #name
#define FLES_TEXT(name) FLES_TEXT_OF(name)
constexpr Kernels kTable = {FLES_TEXT(FLES_LEVEL),
                            MR,
                            NR,
                            {FLES_PRODUCTS(Float32, float32, gather_columns, pack_columns_float32, pack_panel_float32),
                             FLES_PRODUCTS(Bfloat16, bfloat16, nullptr, pack_columns_bfloat16, pack_panel_bfloat16),
                             FLES_PRODUCTS(Int8, int8, nullptr, nullptr, nullptr)},
                            attention_head,
                            attention_scratch,
                            attention_backward_head,
                            attention_backward_scratch,
                            add_rows,
                            layernorm_row,
                            gather_rows,
                            dot,
                            exp_row,
                            multiply_add_chains,
                            kChainFlops,
                            kTrain};
}  // namespace FLES_LEVEL
}  // namespace fles::cpu
