// The BERT encoder's forward pass over a ragged batch (Devlin et al. 2018, arXiv:1810.04805), post-norm.
#pragma once
#include <atomic>
#include <cstdint>

#include "backend/backend.h"
#include "model/parameters.h"
#include "model/ragged_batch.h"

namespace fles {

// Activations of one forward pass. They grow to the largest batch seen and are kept: one allocation a lifetime.
class Workspace {
 public:
  void reserve(const Backend& backend, const ModelConfig& config, int T);
  Buffer hidden, qkv, context, feedforward, tokens;

 private:
  int capacity_ = 0;
};

// Leaves the last hidden states (T, C) in workspace.hidden. Stops between ops with ERR_ABORTED once `cancelled` is set.
void bert_forward(const Backend& backend, const Parameters& parameters, const RaggedBatch& batch, Workspace& workspace,
                  const std::atomic<bool>& cancelled);

void throw_if_cancelled(const std::atomic<bool>& cancelled);

}  // namespace fles
