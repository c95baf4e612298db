// The random numbers of dropout: a pure function of (seed, text id, index), so that a mask does not depend on threads,
// on what shares the batch, or on which backend draws it.
//
// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") with key (seed, text id) and
// counter (block, block >> 32, 0, 0) gives a block of 8 draws of 16 bits: draw d is the low (d even) or high (d odd)
// half of word d / 2. Element `index` of a text has draw index % 8 of block index / 8. With cut = round(p * 65536), an
// element is kept when its draw >= cut, and is then multiplied by 65536 / (65536 - cut); p = 0 draws nothing.
#pragma once
#include <cstdint>

// Always inlined: code for several instruction sets includes this file, and none may use another's copy.
#if defined(__CUDACC__)
#define FLES_PURE static __host__ __device__ __forceinline__
#else
#define FLES_PURE static inline __attribute__((always_inline))
#endif

namespace fles {

constexpr uint32_t kPhiloxFactor0 = 0xD2511F53, kPhiloxFactor1 = 0xCD9E8D57;
constexpr uint32_t kPhiloxKeyStep0 = 0x9E3779B9, kPhiloxKeyStep1 = 0xBB67AE85;

struct PhiloxBlock {
  uint32_t word[4];
};

// Ten rounds on the counter `c` with the key (k0, k1).
FLES_PURE PhiloxBlock philox4x32_10(PhiloxBlock c, uint32_t k0, uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{kPhiloxFactor0} * c.word[0];
    const uint64_t b = uint64_t{kPhiloxFactor1} * c.word[2];
    c = {{static_cast<uint32_t>(b >> 32) ^ c.word[1] ^ k0, static_cast<uint32_t>(b),
          static_cast<uint32_t>(a >> 32) ^ c.word[3] ^ k1, static_cast<uint32_t>(a)}};
    k0 += kPhiloxKeyStep0;
    k1 += kPhiloxKeyStep1;
  }
  return c;
}

// The block of draws of one text at one site and step.
FLES_PURE PhiloxBlock dropout_block(int32_t seed, int32_t text, uint64_t block) {
  return philox4x32_10({{static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), 0, 0}},
                       static_cast<uint32_t>(seed), static_cast<uint32_t>(text));
}

// The draw of an element, 0..65535.
FLES_PURE uint32_t dropout_draw(int32_t seed, int32_t text, uint64_t index) {
  const PhiloxBlock block = dropout_block(seed, text, index / 8);
  return block.word[index % 8 / 2] >> (16 * (index % 2)) & 0xFFFF;
}

// What a probability p in [0, 1) means for draws: see above. cut is 65536, which no draw reaches, only for p that
// rounds to 1; backends refuse it.
struct DropoutRate {
  uint32_t cut;
  float scale;
};
FLES_PURE DropoutRate dropout_rate(float p) {
  const uint32_t cut = (static_cast<uint32_t>(p * 131072.0f) + 1) / 2;  // rounded
  return {cut, 65536.0f / static_cast<float>(65536 - cut)};
}

// Dropout of one text at one site and step.
struct Dropout {
  DropoutRate rate;
  int32_t seed, text;
};

// 0 or `scale`: what an element is multiplied by.
FLES_PURE float dropout_factor(const Dropout& d, uint64_t index) {
  return dropout_draw(d.seed, d.text, index) >= d.rate.cut ? d.rate.scale : 0.0f;
}

// Index of column c of a hidden value (.., C) at a position of its text.
FLES_PURE uint64_t hidden_index(int position, int C, int c) {
  return static_cast<uint64_t>(position) * static_cast<uint64_t>(C) + static_cast<uint64_t>(c);
}

// Index of the attention of token i to token j in head h of a text of S tokens: every row starts a block.
FLES_PURE uint64_t attention_index(int h, int i, int j, int S) {
  const auto row = static_cast<uint64_t>(h) * static_cast<uint64_t>(S) + static_cast<uint64_t>(i);
  return row * static_cast<uint64_t>((S + 7) / 8 * 8) + static_cast<uint64_t>(j);
}

}  // namespace fles
