#include "cpu/levels.h"

#include <algorithm>
#include <cstdlib>

#include "core/error.h"
#include "cpu/cpu_features.h"

namespace fles::cpu {
namespace {

struct Level {
  const Kernels* kernels;          // null where this build has no such code
  std::vector<std::string> needs;  // of feature_names()
};

// The best last.
std::vector<Level> levels() {
  return {
      {portable_kernels(), {}},
      {avx2_kernels(), {"avx2", "fma", "f16c"}},
      {avx_vnni_kernels(), {"avx2", "fma", "f16c", "avxvnni"}},
      {avx512_kernels(), {"fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl"}},
      {avx512_vnni_kernels(), {"fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni"}},
      {avx512_bf16_kernels(),
       {"fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni", "avx512bf16"}},
      {amx_kernels(),
       {"fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni", "avx512bf16", "amxtile", "amxbf16",
        "amxint8"}},
      {neon_dot_kernels(), {"dotprod"}},
      {neon_bf16_kernels(), {"dotprod", "bf16", "i8mm"}},
  };
}

}  // namespace

std::vector<const Kernels*> usable_kernels() {
  const std::vector<std::string> features = feature_names();
  const auto present = [&features](const std::string& name) {
    return std::find(features.begin(), features.end(), name) != features.end();
  };
  std::vector<const Kernels*> usable;
  for (const Level& level : levels()) {
    if (level.kernels != nullptr && std::all_of(level.needs.begin(), level.needs.end(), present)) {
      usable.push_back(level.kernels);
    }
  }
  return usable;
}

const Kernels& kernels_named(const std::string& name) {
  std::string known;
  for (const Kernels* kernels : usable_kernels()) {
    if (name == kernels->name) return *kernels;
    known += (known.empty() ? "" : " | ") + std::string(kernels->name);
  }
  fail("ERR_CPU_LEVEL", "the CPU level is \"%s\", this processor and build have %s", name.c_str(), known.c_str());
}

DataType sixteen_bits(const Kernels& kernels) {
  // Without instructions for bfloat16 it is widened to float32, and of whole numbers of 16 bits x86 has always
  // multiplied two at once. Intel's instruction for vectors of bfloat16 takes four times as long as that for those (an
  // Emerald Rapids: 43 and 184 thousand million products a second, 88 in float32); AMD's are as fast, and tiles faster.
#if defined(__x86_64__)
  if (&kernels == amx_kernels()) return DataType::kBfloat16;
  return kernels.bfloat16 && __builtin_cpu_is("intel") == 0 ? DataType::kBfloat16 : DataType::kInt16;
#else
  return DataType::kBfloat16;
#endif
}

const Kernels& chosen_kernels() {
  const char* forced = std::getenv("FLES_CPU");
  if (forced != nullptr && *forced != '\0') return kernels_named(forced);
  return *usable_kernels().back();
}

}  // namespace fles::cpu
