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
#include "cpu/tile.inl"
#include "cpu/matrix.inl"
#include "cpu/rows.inl"
#include "cpu/roofline.inl"
#include "cpu/random.inl"
#include "cpu/train.inl"
// clang-format on

#define FLES_TEXT_OF(name) #name
#define FLES_TEXT(name) FLES_TEXT_OF(name)
constexpr Kernels kTable = {FLES_TEXT(FLES_LEVEL),
                            MR,
                            NR,
                            pack_weight,
                            pack_block,
                            pack_columns,
                            pack_panel,
                            linear_panels,
                            head_panels,
                            attention_head,
                            attention_scratch,
                            add_rows,
                            layernorm_row,
                            gather_rows,
                            dot,
                            multiply_add_chains,
                            kChainFlops,
                            kTrain};
}  // namespace FLES_LEVEL
}  // namespace fles::cpu
