// Vectors of FLES_VECTOR_BYTES bytes by the compiler's vector extensions (GCC and Clang), and the functions built on
// them. Included inside a namespace of its own by each kernels_<level>.cpp, after FLES_VECTOR_BYTES is defined. It must
// not instantiate anything from the standard library: the linker could keep that copy for code that runs on older
// machines.

typedef float vf __attribute__((vector_size(FLES_VECTOR_BYTES)));
typedef int32_t vi __attribute__((vector_size(FLES_VECTOR_BYTES)));
typedef uint32_t vu __attribute__((vector_size(FLES_VECTOR_BYTES)));
typedef float vf_unaligned __attribute__((vector_size(FLES_VECTOR_BYTES), aligned(4), may_alias));
typedef float group __attribute__((vector_size(16)));  // kGroup values
typedef float group_unaligned __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t vi_unaligned __attribute__((vector_size(FLES_VECTOR_BYTES), aligned(4), may_alias));

constexpr int W = FLES_VECTOR_BYTES / 4;  // floats in a vector
constexpr int NV = 2;                     // vectors in a row of a tile
constexpr int NR = NV * W;
constexpr int MR = FLES_MR;

#define FLES_INLINE static inline __attribute__((always_inline))

FLES_INLINE vf load(const float* p) { return *reinterpret_cast<const vf_unaligned*>(p); }
FLES_INLINE void store(float* p, vf x) { *reinterpret_cast<vf_unaligned*>(p) = x; }
FLES_INLINE vf splat(float x) { return x - vf{}; }
FLES_INLINE vf max(vf a, vf b) { return a > b ? a : b; }
FLES_INLINE vf min(vf a, vf b) { return a < b ? a : b; }

// Sum and maximum over lanes, in one fixed order of few steps.
FLES_INLINE float sum_lanes(vf x) {
  const auto* groups = reinterpret_cast<const group_unaligned*>(&x);
  group sum = groups[0];
  for (int g = 1; g < W / 4; ++g) sum += groups[g];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}
FLES_INLINE float max_lanes(vf x) {
  const auto* groups = reinterpret_cast<const group_unaligned*>(&x);
  group m = groups[0];
  for (int g = 1; g < W / 4; ++g) m = m > groups[g] ? m : groups[g];
  const float a = m[0] > m[1] ? m[0] : m[1], b = m[2] > m[3] ? m[2] : m[3];
  return a > b ? a : b;
}

// e^x for x in [-87, 88], relative error below 2 units in the last place (range reduction by ln 2 in two parts, then
// the degree 5 polynomial of Cephes expf).
FLES_INLINE vf exp(vf x) {
  x = min(max(x, splat(-87.0f)), splat(88.0f));
  const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer that its low bits hold
  const vf shifted = x * 1.44269504f + magic;
  const vf n = shifted - magic;
  vf r = x - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  vf p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const vi bits = (reinterpret_cast<vi>(shifted) << 23) + (127 << 23);
  return p * reinterpret_cast<vf>(bits);
}

// 2^x for N vectors of x in [-126, 127], relative error below 3 units in the last place; NaN for NaN. The degree 5
// polynomial of least relative error on [-1/2, 1/2] that is 1 at 0. Step by step for all vectors, since the processor
// does not look far enough ahead to overlap whole chains of so many steps.
template <int N>
FLES_INLINE void exp2(vf (&x)[N]) {
  const float magic = 12582912.0f;  // as in exp
  vf shifted[N], p[N];
#define FLES_EACH _Pragma("GCC unroll 16") for (int n = 0; n < N; ++n)
  FLES_EACH shifted[n] = x[n] + magic;
  FLES_EACH p[n] = shifted[n] - magic;
  FLES_EACH x[n] = x[n] - p[n];
  FLES_EACH p[n] = x[n] * 1.326472731e-3f + 9.671512991e-3f;
  FLES_EACH p[n] = p[n] * x[n] + 5.550733581e-2f;
  FLES_EACH p[n] = p[n] * x[n] + 2.402224243e-1f;
  FLES_EACH p[n] = p[n] * x[n] + 6.931470037e-1f;
  FLES_EACH p[n] = p[n] * x[n] + 1.0f;
  // Added to the exponent, modulo 2^32 where x is out of range; the low bits of a NaN are 0.
  FLES_EACH x[n] = reinterpret_cast<vf>(reinterpret_cast<vu>(p[n]) + (reinterpret_cast<vu>(shifted[n]) << 23));
#undef FLES_EACH
}

// The normal distribution's share below -a, a >= 0: the fourth power of the degree 8 polynomial in a of least error,
// which is within 6e-8, and with the rounding of float32 within 2e-7. It falls below 0 for good at 5.6, where the share
// is 1e-8.
FLES_INLINE vf normal_tail(vf a) {
  vf p = splat(-3.401409913e-6f);
  p = p * a + 5.845035776e-5f;
  p = p * a - 3.076882858e-4f;
  p = p * a - 3.436047700e-5f;
  p = p * a + 3.794285236e-3f;
  p = p * a + 4.650798626e-3f;
  p = p * a - 5.019817874e-2f;
  p = p * a - 1.677339524e-1f;
  p = p * a + 8.408964276e-1f;
  p = max(p, vf{});
  p = p * p;
  return p * p;
}

// x times the normal distribution's share below x: x / 2 (1 + erf(x / sqrt 2)).
FLES_INLINE vf gelu(vf x) {
  const vf a = max(x, -x);
  return max(x, vf{}) - a * normal_tail(a);
}

// x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
FLES_INLINE vf gelu_new(vf x) {
  const vf y = 0.79788456f * (x + 0.044715f * x * x * x);
  const vf e = exp(2.0f * y);   // clamped there, where tanh is 1 in float32 anyway
  return x * (e / (e + 1.0f));  // in this order: x * e could overflow
}

FLES_INLINE vf activate(vf x, int activation) {
  switch (activation) {
    case 1:
      return gelu(x);
    case 2:
      return gelu_new(x);
    case 3:
      return max(x, vf{});
    default:
      return x;
  }
}
