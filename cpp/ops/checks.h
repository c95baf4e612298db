// What every backend refuses, in the same words: ERR_ARGUMENT_VALUE.
#pragma once
#include "core/error.h"
#include "ops/linear_backward.h"
#include "ops/random.h"
#include "ops/sparse_head.h"
#include "ops/sparse_head_backward.h"

namespace fles {

// 0 <= dropout < 1, seed >= 0, and texts are numbered when dropout is not 0.
inline void check_dropout(float dropout, int seed, const int32_t* text_ids) {
  if (!(dropout >= 0.0f && dropout < 1.0f) || dropout_rate(dropout).cut == 65536) {
    fail("ERR_ARGUMENT_VALUE", "dropout is %g, expected 0 <= dropout < 1", dropout);
  }
  if (seed < 0) fail("ERR_ARGUMENT_VALUE", "seed is %d, expected 0 or more", seed);
  if (dropout > 0.0f && text_ids == nullptr) {
    fail("ERR_ARGUMENT_VALUE", "dropout is %g and text_ids are missing; pass a number for each text", dropout);
  }
}

inline void check(const LinearBackward& a) {
  if ((a.d_in != nullptr && a.weight == nullptr) || (a.d_weight != nullptr && a.in == nullptr)) {
    fail("ERR_ARGUMENT_VALUE", "d_in needs weight and d_weight needs in; pass them or leave the gradient out");
  }
  if (a.type == DataType::kInt8) {
    fail("ERR_ARGUMENT_VALUE",
         "type is \"int8\", expected float32 | bfloat16 | int16: gradients are not quantised to 8 bits");
  }
}

inline void check(const SparseHeadForward& a) {
  if (a.pooling != HeadPooling::kMax && a.argmax != nullptr) {
    fail("ERR_ARGUMENT_VALUE", "argmax is asked of a sum, which has none; pass null");
  }
  if (a.screen != nullptr && (a.pooling != HeadPooling::kMax || a.weight->type == DataType::kInt8)) {
    fail("ERR_ARGUMENT_VALUE", "a screen is given to a sum or to a weight in int8; pass null");
  }
}

inline void check(const SparseHeadBackward& a) {
  if ((a.pooling == HeadPooling::kMax) != (a.argmax != nullptr)) {
    fail("ERR_ARGUMENT_VALUE", "argmax goes with max pooling and with no other; pass it there and null elsewhere");
  }
}

}  // namespace fles
