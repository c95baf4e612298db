// NEON with the 8-bit dot products of Arm 8.2 (Neoverse N1, Cortex-A76): 24 of 32 registers hold the tile.
#if defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD)
#define FLES_LEVEL neon_dot
#define FLES_VECTOR_BYTES 16
#define FLES_MR 12
#include "cpu/kernels.inl"

namespace fles::cpu {
const Kernels* neon_dot_kernels() { return &neon_dot::kTable; }
}  // namespace fles::cpu
#else
#include "cpu/kernels.h"

namespace fles::cpu {
const Kernels* neon_dot_kernels() { return nullptr; }
}  // namespace fles::cpu
#endif
