// Which elements dropout keeps (ops/random.h), many blocks of draws at once. Included after simd.inl.

typedef uint64_t vl __attribute__((vector_size(FLES_VECTOR_BYTES)));
typedef uint16_t vh __attribute__((vector_size(FLES_VECTOR_BYTES)));
constexpr int kDraws = 8;  // of a block

// Products of the low halves of lanes. GCC does not see that one instruction does it.
FLES_INLINE vl low_products(vl a, vl b) {
#if defined(__AVX512F__) && FLES_VECTOR_BYTES == 64
  return reinterpret_cast<vl>(_mm512_maskz_mul_epu32(0xFF, reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif defined(__AVX2__) && FLES_VECTOR_BYTES == 32
  return reinterpret_cast<vl>(_mm256_mul_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#elif defined(__SSE2__) && FLES_VECTOR_BYTES == 16
  return reinterpret_cast<vl>(_mm_mul_epu32(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#elif defined(__ARM_NEON) && FLES_VECTOR_BYTES == 16
  return reinterpret_cast<vl>(
      vmull_u32(vmovn_u64(reinterpret_cast<uint64x2_t>(a)), vmovn_u64(reinterpret_cast<uint64x2_t>(b))));
#else
  return (a & 0xFFFFFFFFU) * (b & 0xFFFFFFFFU);
#endif
}

constexpr int kChainsOfBlocks = 2;                  // as many as hide the latency of a multiplication
constexpr int kBlocks = kChainsOfBlocks * (W / 2);  // drawn at once, one a lane of 64 bits

// bits[n] for n in 0..count-1, rounded up to a multiple of kBlocks: bit d says whether draw d of block first + n step
// is kept.
FLES_INLINE void keep_bits(const Dropout& dropout, uint64_t first, uint64_t step, int count, uint8_t* bits) {
  constexpr int kLanes = W / 2;
  constexpr uint64_t kLow = 0xFFFFFFFFU;
  const auto cut = static_cast<uint16_t>(dropout.rate.cut);
  vl block;
  for (int l = 0; l < kLanes; ++l) block[l] = first + static_cast<uint64_t>(l) * step;
  for (int n = 0; n < count; n += kBlocks) {
    // Philox in the low halves of lanes; what gathers in the high halves is never read.
    vl c0[kChainsOfBlocks], c1[kChainsOfBlocks], c2[kChainsOfBlocks], c3[kChainsOfBlocks];
    for (int i = 0; i < kChainsOfBlocks; ++i, block += kLanes * step) {
      c0[i] = block, c1[i] = block >> 32, c2[i] = vl{}, c3[i] = vl{};
    }
    auto key0 = static_cast<uint32_t>(dropout.seed), key1 = static_cast<uint32_t>(dropout.text);
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round, key0 += kPhiloxKeyStep0, key1 += kPhiloxKeyStep1) {
#pragma GCC unroll 2
      for (int i = 0; i < kChainsOfBlocks; ++i) {
        const vl a = low_products(c0[i], uint64_t{kPhiloxFactor0} - vl{});
        const vl b = low_products(c2[i], uint64_t{kPhiloxFactor1} - vl{});
        c0[i] = (b >> 32) ^ c1[i] ^ uint64_t { key0 };
        c1[i] = b;
        c2[i] = (a >> 32) ^ c3[i] ^ uint64_t { key1 };
        c3[i] = a;
      }
    }
#pragma GCC unroll 2
    for (int i = 0; i < kChainsOfBlocks; ++i) {
      const auto low = reinterpret_cast<vl>(reinterpret_cast<vh>((c0[i] & kLow) | c1[i] << 32) >= cut);
      const auto high = reinterpret_cast<vl>(reinterpret_cast<vh>((c2[i] & kLow) | c3[i] << 32) >= cut);
      vl kept = (low & 0x0008'0004'0002'0001U) | (high & 0x0080'0040'0020'0010U);
      kept |= kept >> 32;
      kept |= kept >> 16;
      for (int l = 0; l < kLanes; ++l) bits[n + i * kLanes + l] = static_cast<uint8_t>(kept[l]);
    }
  }
}

// All ones in the lanes of elements j..j+W-1 that are kept; reads 4 bytes of bits from element j on.
FLES_INLINE vi kept_lanes(const uint8_t* bits, int j) {
  const uint8_t* from = bits + j / kDraws;
  const auto word =
      static_cast<int32_t>((from[0] | from[1] << 8 | from[2] << 16 | uint32_t{from[3]} << 24) >> j % kDraws);
  vi lane_bit;
  for (int l = 0; l < W; ++l) lane_bit[l] = 1 << l;
  return (lane_bit & word) != 0;
}
