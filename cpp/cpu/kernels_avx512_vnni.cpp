// AVX-512 with the 8-bit dot products of VNNI (Cascade Lake, Ice Lake).
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__) && \
    defined(__AVX512VNNI__)
#define FLES_LEVEL avx512_vnni
#define FLES_VECTOR_BYTES 64
#define FLES_MR 14
#include "cpu/kernels.inl"

namespace fles::cpu {
const Kernels* avx512_vnni_kernels() { return &avx512_vnni::kTable; }
}  // namespace fles::cpu
#else
#include "cpu/kernels.h"

namespace fles::cpu {
const Kernels* avx512_vnni_kernels() { return nullptr; }
}  // namespace fles::cpu
#endif
