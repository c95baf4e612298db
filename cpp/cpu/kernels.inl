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
#include "cpu/ahead.inl"
#include "cpu/registers.inl"
#include "cpu/types.inl"
#if defined(__AMX_TILE__)
#include "cpu/amx.inl"
#endif
#include "cpu/tile.inl"
#include "cpu/packing.inl"
#include "cpu/int16.inl"
#include "cpu/matrix.inl"
#include "cpu/rows.inl"
#include "cpu/roofline.inl"
#include "cpu/random.inl"
#include "cpu/attention.inl"
#if defined(__AMX_TILE__)
#include "cpu/attention_bfloat16.inl"
#elif defined(FLES_INT16_DOT)
#include "cpu/attention_int16.inl"
#endif
#include "cpu/attention_backward.inl"
#include "cpu/train.inl"
// clang-format on

// The members of ProductKernels, in its order.
#define FLES_PRODUCTS(Type, pack_weight, pack_block, pack_columns, pack_panel)                                 \
  {Type::kMR,           block_bytes<Type>, panel_bytes<Type>,    scratch_bytes<Type>, pack_weight, pack_block, \
   linear_panels<Type>, head_panels<Type>, gather_columns<Type>, pack_columns,        pack_panel}
#if defined(__AMX_TILE__)
#define FLES_SPLIT                                                                                     \
  FLES_PRODUCTS(SplitFloat32, pack_weight_float32<SplitFloat32>, pack_block_split, pack_columns_split, \
                pack_panel_float32<SplitFloat32>)
#define FLES_ROUNDED_ATTENTION bfloat16_attention_head, bfloat16_attention_scratch, 32, true
#else
#define FLES_SPLIT \
  {                \
  }
#if defined(FLES_INT16_DOT)
#define FLES_ROUNDED_ATTENTION int16_attention_head, int16_attention_scratch, 64, false
#else
#define FLES_ROUNDED_ATTENTION nullptr, nullptr, 0, false
#endif
#endif
#define FLES_TEXT_OF(name) #name
#define FLES_TEXT(name) FLES_TEXT_OF(name)
constexpr Kernels kTable = {
    FLES_TEXT(FLES_LEVEL),
    NR,
    Bfloat16::kStep == 2,
    {FLES_PRODUCTS(Float32, pack_weight_float32<Float32>, pack_block_float32, pack_columns_float32,
                   pack_panel_float32<Float32>),
     FLES_PRODUCTS(Bfloat16, pack_weight_bfloat16, pack_block_bfloat16, pack_columns_bfloat16, pack_panel_bfloat16),
     FLES_PRODUCTS(Int8, pack_weight_int8, pack_block_int8, nullptr, nullptr),
     FLES_PRODUCTS(Int16, pack_weight_int16, pack_block_int16, pack_columns_int16, pack_panel_int16)},
    FLES_SPLIT,
    attention_head,
    attention_scratch,
    FLES_ROUNDED_ATTENTION,
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
