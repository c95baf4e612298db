#include "model/ragged_batch.h"

#include "core/error.h"

namespace fles {

void check_batch(const ModelConfig& c, const RaggedBatch& batch) {
  if (batch.B < 0 || batch.T < 0 || batch.offsets[0] != 0 || batch.offsets[batch.B] != batch.T) {
    fail("ERR_BATCH_OFFSETS", "offsets run from %d to %d over %d texts, expected 0..%d", batch.offsets[0],
         batch.offsets[batch.B], batch.B, batch.T);
  }
  for (int b = 0; b < batch.B; ++b) {
    const int64_t length = int64_t{batch.offsets[b + 1]} - batch.offsets[b];
    if (length < 0 || length > c.max_positions || batch.offsets[b + 1] > batch.T) {
      fail("ERR_LENGTH_RANGE", "text %d has %lld tokens, expected 0..%d (the model's positions); truncate it", b,
           static_cast<long long>(length), c.max_positions);
    }
  }
  for (int t = 0; t < batch.T; ++t) {
    if (batch.tokens[t] < 0 || batch.tokens[t] >= c.vocabulary_size) {
      fail("ERR_TOKEN_RANGE", "token %d is %d, expected 0..%d (the vocabulary); use the tokenizer of this model", t,
           batch.tokens[t], c.vocabulary_size - 1);
    }
  }
}

}  // namespace fles
