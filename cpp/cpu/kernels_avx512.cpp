// AVX-512: 28 of 32 registers hold the tile.
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define FLES_LEVEL avx512
#define FLES_VECTOR_BYTES 64
#define FLES_MR 14
#include "cpu/kernels.inl"

namespace fles::cpu {
const Kernels* avx512_kernels() { return &avx512::kTable; }
}  // namespace fles::cpu
#else
#include "cpu/kernels.h"

namespace fles::cpu {
const Kernels* avx512_kernels() { return nullptr; }
}  // namespace fles::cpu
#endif
