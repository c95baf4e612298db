// AVX-512 with the 8-bit and the bfloat16 dot products (Sapphire Rapids, Zen 4).
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__) && \
    defined(__AVX512VNNI__) && defined(__AVX512BF16__)
#define FLES_LEVEL avx512_bf16
#define FLES_VECTOR_BYTES 64
#define FLES_MR 14
#include "cpu/kernels.inl"

namespace fles::cpu {
const Kernels* avx512_bf16_kernels() { return &avx512_bf16::kTable; }
}  // namespace fles::cpu
#else
#include "cpu/kernels.h"

namespace fles::cpu {
const Kernels* avx512_bf16_kernels() { return nullptr; }
}  // namespace fles::cpu
#endif
