// Vectors of 16 bytes, which every processor that Node runs on has (SSE2, NEON).
#define FLES_LEVEL portable
#define FLES_VECTOR_BYTES 16
#define FLES_MR 6
#include "cpu/kernels.inl"

namespace fles::cpu {
const Kernels* portable_kernels() { return &portable::kTable; }
}  // namespace fles::cpu
