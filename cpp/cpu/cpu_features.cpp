#include "cpu/cpu_features.h"

#include <cstdlib>

#include "core/error.h"

namespace fles::cpu {
namespace {

bool has_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
#else
  return false;
#endif
}

bool has_avx512() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

}  // namespace

std::vector<const Kernels*> usable_kernels() {
  std::vector<const Kernels*> usable{portable_kernels()};
  if (avx2_kernels() != nullptr && has_avx2()) usable.push_back(avx2_kernels());
  if (avx512_kernels() != nullptr && has_avx512()) usable.push_back(avx512_kernels());
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

const Kernels& chosen_kernels() {
  const char* forced = std::getenv("FLES_CPU");
  if (forced != nullptr && *forced != '\0') return kernels_named(forced);
  return *usable_kernels().back();
}

std::vector<std::string> feature_names() {
  std::vector<std::string> names;
#if defined(__x86_64__)
#define FLES_FEATURE(name) \
  if (__builtin_cpu_supports(name)) names.emplace_back(name);
  FLES_FEATURE("avx2")
  FLES_FEATURE("fma")
  FLES_FEATURE("f16c")
  FLES_FEATURE("avx512f")
  FLES_FEATURE("avx512bw")
  FLES_FEATURE("avx512dq")
  FLES_FEATURE("avx512vl")
  FLES_FEATURE("avx512vnni")
  FLES_FEATURE("avx512bf16")
#undef FLES_FEATURE
#elif defined(__aarch64__)
  names.emplace_back("neon");
#endif
  return names;
}

}  // namespace fles::cpu
