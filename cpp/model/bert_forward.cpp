#include "model/bert_forward.h"

#include "core/error.h"

namespace fles {

void throw_if_cancelled(const std::atomic<bool>& cancelled) {
  if (cancelled.load(std::memory_order_relaxed)) fail("ERR_ABORTED", "the call was aborted");
}

void Workspace::reserve(const Backend& backend, const ModelConfig& config, int T) {
  if (T <= capacity_) return;
  const auto rows = static_cast<size_t>(T);
  *this = Workspace();  // frees the old memory first, so that the peak is the new size alone
  hidden = Buffer(backend, rows * config.hidden_size);
  qkv = Buffer(backend, rows * 3 * config.hidden_size);
  context = Buffer(backend, rows * config.hidden_size);
  feedforward = Buffer(backend, rows * config.intermediate_size);
  tokens = Buffer(backend, rows);
  capacity_ = T;
}

void bert_forward(const Backend& backend, const Parameters& p, const RaggedBatch& batch, Workspace& w,
                  const std::atomic<bool>& cancelled) {
  void* self = backend.self;
  const ModelConfig& c = p.config;
  const int T = batch.T, C = c.hidden_size, I = c.intermediate_size;
  w.reserve(backend, c, T);
  float* hidden = w.hidden.data();

  const auto linear = [&](const Linear& layer, const float* in, const float* residual, float* out, int N, int K,
                          Activation activation) {
    throw_if_cancelled(cancelled);
    backend.linear(self, {in, layer.weight.get(), layer.bias.data(), residual, out, T, N, K, activation});
  };
  const auto layernorm = [&](const Norm& norm) {
    backend.layernorm(self, {hidden, norm.gamma.data(), norm.beta.data(), hidden, T, C, c.layer_norm_eps});
  };

  auto* tokens = reinterpret_cast<int32_t*>(w.tokens.data());
  backend.upload(self, tokens, batch.tokens, static_cast<size_t>(T) * sizeof(int32_t));
  backend.embedding(self, {tokens, batch.offsets, p.word.data(), p.position.data(), p.type.data(),
                           p.embedding_norm.gamma.data(), p.embedding_norm.beta.data(), hidden, nullptr, batch.B, T, C,
                           c.vocabulary_size, c.max_positions, c.layer_norm_eps});
  for (const LayerParameters& layer : p.layers) {
    linear(layer.qkv, hidden, nullptr, w.qkv.data(), 3 * C, C, Activation::kNone);
    backend.attention(self, {.qkv = w.qkv.data(),
                             .offsets = batch.offsets,
                             .out = w.context.data(),
                             .B = batch.B,
                             .T = T,
                             .C = C,
                             .H = c.heads,
                             .type = layer.qkv.weight.get()->type});
    linear(layer.attention_out, w.context.data(), hidden, hidden, C, C, Activation::kNone);
    layernorm(layer.attention_norm);
    linear(layer.feedforward_in, hidden, nullptr, w.feedforward.data(), I, C, c.activation);
    linear(layer.feedforward_out, w.feedforward.data(), hidden, hidden, C, I, Activation::kNone);
    layernorm(layer.feedforward_norm);
  }
}

}  // namespace fles
