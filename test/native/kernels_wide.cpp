// The kernels with vectors of 64 bytes, as the AVX-512 level has them, compiled for whatever this machine runs: the
// logic of that level (its width, its tile of 14 rows, its remainders) is tested on every machine.
#define FLES_LEVEL wide
#define FLES_VECTOR_BYTES 64
#define FLES_MR 14
#include "cpu/kernels.inl"

namespace fles::cpu {
const Kernels* wide_kernels() { return &wide::kTable; }
}  // namespace fles::cpu
