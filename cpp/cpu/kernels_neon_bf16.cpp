// NEON with the 8-bit and the bfloat16 products of small matrices of Arm 8.6 (Neoverse V1 and N2, Apple M2).
#if defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD) && defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC) && \
    defined(__ARM_FEATURE_MATMUL_INT8)
#define FLES_LEVEL neon_bf16
#define FLES_VECTOR_BYTES 16
#define FLES_MR 12
#include "cpu/kernels.inl"

namespace fles::cpu {
const Kernels* neon_bf16_kernels() { return &neon_bf16::kTable; }
}  // namespace fles::cpu
#else
#include "cpu/kernels.h"

namespace fles::cpu {
const Kernels* neon_bf16_kernels() { return nullptr; }
}  // namespace fles::cpu
#endif
