// AVX2 with the 8-bit dot products of VNNI in vectors of 32 bytes (Intel from Alder Lake on).
#if defined(__AVX2__) && defined(__FMA__) && defined(__AVXVNNI__)
#define FLES_LEVEL avx_vnni
#define FLES_VECTOR_BYTES 32
#define FLES_MR 6
#include "cpu/kernels.inl"

namespace fles::cpu {
const Kernels* avx_vnni_kernels() { return &avx_vnni::kTable; }
}  // namespace fles::cpu
#else
#include "cpu/kernels.h"

namespace fles::cpu {
const Kernels* avx_vnni_kernels() { return nullptr; }
}  // namespace fles::cpu
#endif
