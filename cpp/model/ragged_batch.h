// Texts of different lengths one after the other, without padding.
#pragma once
#include <cstdint>

#include "model/parameters.h"

namespace fles {

// B texts of T tokens in all, in host memory: text b is tokens[offsets[b]..offsets[b+1]).
struct RaggedBatch {
  const int32_t* tokens;
  const int32_t* offsets;
  int B, T;
};

// Offsets that cover the tokens, texts no longer than the model has positions, tokens of its vocabulary:
// ERR_BATCH_OFFSETS, ERR_LENGTH_RANGE, ERR_TOKEN_RANGE.
void check_batch(const ModelConfig& config, const RaggedBatch& batch);

}  // namespace fles
