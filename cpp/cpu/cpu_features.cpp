#include "cpu/cpu_features.h"

#if defined(__x86_64__)
#include <cpuid.h>

#include "cpu/amx_permission.h"
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace fles::cpu {
namespace {

#if defined(__x86_64__)
// Compilers of the supported versions do not all know its name: CPUID leaf 7, subleaf 1. That the operating system
// keeps the registers of AVX is asked with "avx2".
bool has_avxvnni() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax & 1U << 4) != 0;
}

// Which parts of AMX there are, as bits of EDX in CPUID leaf 7: 0 where the operating system grants none.
unsigned amx_bits() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0 || (edx & 1U << 24) == 0) return 0;
  return request_amx() ? edx : 0;
}
#elif defined(__aarch64__) && defined(__APPLE__)
bool has(const char* feature) {
  int value = 0;
  size_t size = sizeof(value);
  return sysctlbyname(feature, &value, &size, nullptr, 0) == 0 && value != 0;
}
#endif

}  // namespace

std::vector<std::string> feature_names() {
  std::vector<std::string> names;
  const auto add = [&names](const char* name, bool present) {
    if (present) names.emplace_back(name);
  };
#if defined(__x86_64__)
  add("avx2", __builtin_cpu_supports("avx2"));
  add("fma", __builtin_cpu_supports("fma"));
  add("f16c", __builtin_cpu_supports("f16c"));
  add("avxvnni", has_avxvnni());
  add("avx512f", __builtin_cpu_supports("avx512f"));
  add("avx512bw", __builtin_cpu_supports("avx512bw"));
  add("avx512dq", __builtin_cpu_supports("avx512dq"));
  add("avx512vl", __builtin_cpu_supports("avx512vl"));
  add("avx512vnni", __builtin_cpu_supports("avx512vnni"));
  add("avx512bf16", __builtin_cpu_supports("avx512bf16"));
  const unsigned amx = amx_bits();
  add("amxtile", (amx >> 24 & 1) != 0);
  add("amxbf16", (amx >> 22 & 1) != 0);
  add("amxint8", (amx >> 25 & 1) != 0);
#elif defined(__aarch64__)
  names.emplace_back("neon");
#if defined(__linux__)
  // By number, as in the kernel's asm/hwcap.h: the C library's headers may be older than the processor.
  const unsigned long first = getauxval(AT_HWCAP), second = getauxval(AT_HWCAP2);
  add("dotprod", (first >> 20 & 1) != 0);
  add("bf16", (second >> 14 & 1) != 0);
  add("i8mm", (second >> 13 & 1) != 0);
#elif defined(__APPLE__)
  add("dotprod", has("hw.optional.arm.FEAT_DotProd"));
  add("bf16", has("hw.optional.arm.FEAT_BF16"));
  add("i8mm", has("hw.optional.arm.FEAT_I8MM"));
#endif
#endif
  return names;
}

}  // namespace fles::cpu
