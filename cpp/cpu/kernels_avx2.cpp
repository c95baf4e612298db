// AVX2 and FMA: 12 of 16 registers hold the tile.
#if defined(__AVX2__) && defined(__FMA__)
#define FLES_LEVEL avx2
#define FLES_VECTOR_BYTES 32
#define FLES_MR 6
#include "cpu/kernels.inl"

namespace fles::cpu {
const Kernels* avx2_kernels() { return &avx2::kTable; }
}  // namespace fles::cpu
#else
#include "cpu/kernels.h"

namespace fles::cpu {
const Kernels* avx2_kernels() { return nullptr; }
}  // namespace fles::cpu
#endif
