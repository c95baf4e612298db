// The kernels of every instruction set, and those chosen for this processor.
#pragma once
#include <string>
#include <vector>

#include "cpu/kernels.h"

namespace fles::cpu {

const Kernels* portable_kernels();
// Null where this build has no such code (another processor family, an older compiler).
const Kernels* avx2_kernels();
const Kernels* avx_vnni_kernels();
const Kernels* avx512_kernels();
const Kernels* avx512_vnni_kernels();
const Kernels* avx512_bf16_kernels();
const Kernels* amx_kernels();
const Kernels* neon_dot_kernels();
const Kernels* neon_bf16_kernels();

// Levels that this build has and this processor runs, best last; always at least "portable".
std::vector<const Kernels*> usable_kernels();

// The best usable level, or the one that FLES_CPU names. ERR_CPU_LEVEL when that one is unknown or cannot run here.
const Kernels& chosen_kernels();

// What products that are asked for in bfloat16 are computed in at a level: the faster of the two types of 16 bits.
DataType sixteen_bits(const Kernels& kernels);

// A usable level by name; ERR_CPU_LEVEL.
const Kernels& kernels_named(const std::string& name);

}  // namespace fles::cpu
