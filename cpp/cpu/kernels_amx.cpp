// AVX-512 and AMX, which multiplies tiles of bfloat16 and of 8 bits (Sapphire Rapids and later Xeons).
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__) &&      \
    defined(__AVX512VNNI__) && defined(__AVX512BF16__) && defined(__AMX_TILE__) && defined(__AMX_BF16__) && \
    defined(__AMX_INT8__)
#define FLES_LEVEL amx
#define FLES_VECTOR_BYTES 64
#define FLES_MR 14
#include "cpu/kernels.inl"

namespace fles::cpu {
const Kernels* amx_kernels() { return &amx::kTable; }
}  // namespace fles::cpu
#else
#include "cpu/kernels.h"

namespace fles::cpu {
const Kernels* amx_kernels() { return nullptr; }
}  // namespace fles::cpu
#endif
