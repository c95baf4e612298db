// Functions of one CUDA thread: atomics, bits, arithmetic.
#pragma once
#include <cmath>

#include "interface.h"

// Atomics, relaxed as in CUDA. Overloads rather than templates, so that arguments are converted as in CUDA.
#define EMULATE_ATOMIC(T, name, builtin)              \
  inline T name(T* address, T value) {                \
    emulate::maybe_yield();                           \
    return builtin(address, value, __ATOMIC_RELAXED); \
  }
// `keep` is true when the value that is there stays.
#define EMULATE_ATOMIC_CHOICE(T, name, keep)                                                                   \
  inline T name(T* address, T value) {                                                                         \
    emulate::maybe_yield();                                                                                    \
    T old = __atomic_load_n(address, __ATOMIC_RELAXED);                                                        \
    while (!(keep)) {                                                                                          \
      if (__atomic_compare_exchange_n(address, &old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) break; \
    }                                                                                                          \
    return old;                                                                                                \
  }
#define EMULATE_ATOMICS(T)                                                                            \
  EMULATE_ATOMIC(T, atomicAdd, __atomic_fetch_add)                                                    \
  EMULATE_ATOMIC(T, atomicExch, __atomic_exchange_n)                                                  \
  EMULATE_ATOMIC(T, atomicAnd, __atomic_fetch_and)                                                    \
  EMULATE_ATOMIC(T, atomicOr, __atomic_fetch_or)                                                      \
  EMULATE_ATOMIC(T, atomicXor, __atomic_fetch_xor)                                                    \
  EMULATE_ATOMIC_CHOICE(T, atomicMax, value <= old)                                                   \
  EMULATE_ATOMIC_CHOICE(T, atomicMin, old <= value)                                                   \
  inline T atomicCAS(T* address, T compare, T value) {                                                \
    emulate::maybe_yield();                                                                           \
    __atomic_compare_exchange_n(address, &compare, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED); \
    return compare;                                                                                   \
  }
EMULATE_ATOMICS(int)
EMULATE_ATOMICS(unsigned)
EMULATE_ATOMICS(unsigned long long)
EMULATE_ATOMIC(int, atomicSub, __atomic_fetch_sub)
EMULATE_ATOMIC(unsigned, atomicSub, __atomic_fetch_sub)
#define EMULATE_ATOMIC_ADD(T)                                                                             \
  inline T atomicAdd(T* address, T value) {                                                               \
    emulate::maybe_yield();                                                                               \
    T old, sum;                                                                                           \
    __atomic_load(address, &old, __ATOMIC_RELAXED);                                                       \
    do {                                                                                                  \
      sum = old + value;                                                                                  \
    } while (!__atomic_compare_exchange(address, &old, &sum, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)); \
    return old;                                                                                           \
  }
EMULATE_ATOMIC_ADD(float)
EMULATE_ATOMIC_ADD(double)
inline float atomicExch(float* address, float value) {
  emulate::maybe_yield();
  float old;
  __atomic_exchange(address, &value, &old, __ATOMIC_RELAXED);
  return old;
}
#undef EMULATE_ATOMIC
#undef EMULATE_ATOMIC_CHOICE
#undef EMULATE_ATOMICS
#undef EMULATE_ATOMIC_ADD

// Loads and stores with a hint for the caches.
template <class T>
inline T __ldg(const T* address) {
  return *address;
}
template <class T>
inline T __ldcg(const T* address) {
  return *address;
}
template <class T>
inline T __ldcs(const T* address) {
  return *address;
}
template <class T>
inline void __stcg(T* address, T value) {
  *address = value;
}
template <class T>
inline void __stcs(T* address, T value) {
  *address = value;
}

namespace emulate {
template <class To, class From>
inline To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}
}  // namespace emulate
inline float __int_as_float(int x) { return emulate::bits_as<float>(x); }
inline int __float_as_int(float x) { return emulate::bits_as<int>(x); }
inline float __uint_as_float(unsigned x) { return emulate::bits_as<float>(x); }
inline unsigned __float_as_uint(float x) { return emulate::bits_as<unsigned>(x); }
inline double __longlong_as_double(long long x) { return emulate::bits_as<double>(x); }
inline long long __double_as_longlong(double x) { return emulate::bits_as<long long>(x); }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __clzll(long long x) { return x == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) {
  x = (x >> 1 & 0x55555555U) | (x & 0x55555555U) << 1;
  x = (x >> 2 & 0x33333333U) | (x & 0x33333333U) << 2;
  x = (x >> 4 & 0x0F0F0F0FU) | (x & 0x0F0F0F0FU) << 4;
  return __builtin_bswap32(x);
}
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32); }
inline int __mulhi(int a, int b) { return static_cast<int>(static_cast<int64_t>(a) * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<unsigned long long>(static_cast<Wide>(a) * b >> 64);
}
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const uint64_t bytes = static_cast<uint64_t>(y) << 32 | x;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned chosen = selector >> 4 * i;
    unsigned byte = static_cast<unsigned>(bytes >> 8 * (chosen & 7)) & 0xFF;
    if ((chosen & 8) != 0) byte = (byte & 0x80) != 0 ? 0xFF : 0;
    result |= byte << 8 * i;
  }
  return result;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>(((static_cast<uint64_t>(high) << 32 | low) << (shift & 31)) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) >> (shift & 31));
}
inline int __dp4a(int a, int b, int sum) {
  auto total = static_cast<unsigned>(sum);  // wraps
  for (int i = 0; i < 4; ++i) {
    total += static_cast<unsigned>(static_cast<int8_t>(a >> 8 * i) * static_cast<int8_t>(b >> 8 * i));
  }
  return static_cast<int>(total);
}
inline unsigned __dp4a(unsigned a, unsigned b, unsigned sum) {
  for (int i = 0; i < 4; ++i) sum += (a >> 8 * i & 0xFF) * (b >> 8 * i & 0xFF);
  return sum;
}
inline int __dp4a(char4 a, char4 b, int sum) { return __dp4a(emulate::bits_as<int>(a), emulate::bits_as<int>(b), sum); }

inline float rsqrtf(float x) { return 1.0F / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline float normcdff(float x) { return 0.5F * std::erfc(x * -0.707106781F); }
inline float fdividef(float a, float b) { return a / b; }
inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __log2f(float x) { return std::log2(x); }
inline float __powf(float x, float y) { return std::pow(x, y); }
inline float __sinf(float x) { return std::sin(x); }
inline float __cosf(float x) { return std::cos(x); }
inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1.0F) : 0.0F; }
inline float __frcp_rn(float x) { return 1.0F / x; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __frsqrt_rn(float x) { return static_cast<float>(1.0 / std::sqrt(static_cast<double>(x))); }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
// These are never contracted to a fused multiply-add. The detour by an integer hides them from the compiler.
inline float __fadd_rn(float a, float b) { return __int_as_float(__float_as_int(a + b)); }
inline float __fsub_rn(float a, float b) { return __int_as_float(__float_as_int(a - b)); }
inline float __fmul_rn(float a, float b) {
  float product = a * b;
  asm("" : "+m"(product));
  return product;
}
inline float __fdiv_rn(float a, float b) { return a / b; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) {
  double product = a * b;
  asm("" : "+m"(product));
  return product;
}

// Conversions of CUDA saturate; those of C++ are undefined outside the range.
inline int __float2int_rz(float x) {
  if (x != x) return 0;
  return x >= 2147483648.0F ? 2147483647 : x < -2147483648.0F ? -2147483647 - 1 : static_cast<int>(x);
}
inline int __float2int_rn(float x) { return __float2int_rz(std::nearbyint(x)); }
inline int __float2int_rd(float x) { return __float2int_rz(std::floor(x)); }
inline int __float2int_ru(float x) { return __float2int_rz(std::ceil(x)); }
inline unsigned __float2uint_rz(float x) {
  if (!(x > 0)) return 0;
  return x >= 4294967296.0F ? 4294967295U : static_cast<unsigned>(x);
}
inline unsigned __float2uint_rn(float x) { return __float2uint_rz(std::nearbyint(x)); }
inline float __int2float_rn(int x) { return static_cast<float>(x); }
inline float __uint2float_rn(unsigned x) { return static_cast<float>(x); }
inline float __double2float_rn(double x) { return static_cast<float>(x); }

// CUDA's overloads: of a number and a NaN they give the number.
#define EMULATE_MIN_MAX(R, A, B)                                                                                   \
  inline R min(A a, B b) { return static_cast<R>(b) < static_cast<R>(a) ? static_cast<R>(b) : static_cast<R>(a); } \
  inline R max(A a, B b) { return static_cast<R>(a) < static_cast<R>(b) ? static_cast<R>(b) : static_cast<R>(a); }
EMULATE_MIN_MAX(int, int, int)
EMULATE_MIN_MAX(unsigned, unsigned, unsigned)
EMULATE_MIN_MAX(unsigned, int, unsigned)
EMULATE_MIN_MAX(unsigned, unsigned, int)
EMULATE_MIN_MAX(long, long, long)
EMULATE_MIN_MAX(unsigned long, unsigned long, unsigned long)
EMULATE_MIN_MAX(long long, long long, long long)
EMULATE_MIN_MAX(unsigned long long, unsigned long long, unsigned long long)
#undef EMULATE_MIN_MAX
inline float min(float a, float b) { return std::fmin(a, b); }
inline float max(float a, float b) { return std::fmax(a, b); }
inline double min(double a, double b) { return std::fmin(a, b); }
inline double max(double a, double b) { return std::fmax(a, b); }
inline double min(float a, double b) { return std::fmin(static_cast<double>(a), b); }
inline double max(float a, double b) { return std::fmax(static_cast<double>(a), b); }
inline double min(double a, float b) { return std::fmin(a, static_cast<double>(b)); }
inline double max(double a, float b) { return std::fmax(a, static_cast<double>(b)); }
