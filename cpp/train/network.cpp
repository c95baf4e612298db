#include "train/network.h"

#include <algorithm>

#include "core/error.h"
#include "ops/random.h"

namespace fles {

Network::Network(TrainableModel& model, const NetworkOptions& options) : model_(model), options_(options) {
  const int layers = static_cast<int>(model.layers.size());
  options_.kept_layers = std::min(options_.kept_layers, layers);
  sums_.resize(layers + 1, nullptr);
  kept_.resize(layers, {});
}

int64_t Network::wide() const {
  const ModelConfig& c = model_.config();
  return std::max<int64_t>(c.intermediate_size, 3 * int64_t{c.hidden_size});
}

// Gives every array its place from `memory` on, for T tokens; returns how many floats that takes. Without memory it
// only counts.
int64_t Network::arrange(float* memory, int T) {
  constexpr int64_t kAlign = 16;  // floats: arrays begin at cache lines
  const ModelConfig& c = model_.config();
  const int64_t C = c.hidden_size;
  int64_t floats = 0;
  const auto place = [&](float*& array, int64_t columns) {
    if (memory != nullptr) array = memory + floats;
    floats += (T * columns + kAlign - 1) / kAlign * kAlign;
  };
  const auto place_layer = [&](Layer& l) {
    place(l.qkv, 3 * C), place(l.log_sums, c.heads), place(l.context, C);
    place(l.attention_sum, C), place(l.feedforward, c.intermediate_size);
  };
  for (float** array : {&hidden_, &transformed_, &gradient_, &head_sum_}) place(*array, C);
  place(wide_, wide());
  for (float*& sum : sums_) place(sum, C);
  for (size_t n = 0; n < kept_.size(); ++n) {
    if (keeps(static_cast<int>(n))) place_layer(kept_[n]);
  }
  // A pass that keeps nothing may use what the next one will keep.
  if (options_.kept_layers == static_cast<int>(kept_.size())) {
    if (!kept_.empty()) shared_ = kept_.back();
  } else {
    place_layer(shared_);
  }
  return floats;
}

void Network::reserve(int B, int T) {
  text_ids_.reserve(model_.backend(), B);
  tokens_.reserve(model_.backend(), T);
  if (T <= capacity_) return;
  capacity_ = 0;
  arrange(memory_.reserve(model_.backend(), arrange(nullptr, T)), T);
  capacity_ = T;
}

int Network::site_seed(int site) const {
  const PhiloxBlock block =
      philox4x32_10({{static_cast<uint32_t>(step_), static_cast<uint32_t>(static_cast<uint64_t>(step_) >> 32),
                      static_cast<uint32_t>(site), 2}},
                    static_cast<uint32_t>(options_.seed), 0);
  return static_cast<int>(block.word[0] & 0x7FFFFFFFU);
}

// What every op of a pass is told, and the steps that both directions take.
struct Network::Pass {
  Network& n;
  const MicroBatch& batch;
  const bool keep;
  const std::atomic<bool>& cancelled;
  const Backend& backend = n.model_.backend();
  const ModelConfig& c = n.model_.config();
  const int T = batch.texts.T, B = batch.texts.B, C = c.hidden_size, I = c.intermediate_size;
  const int32_t* ids = reinterpret_cast<const int32_t*>(n.text_ids_.data());

  Layer& activations(int layer) const { return keep && n.keeps(layer) ? n.kept_[layer] : n.shared_; }

  // out = activation-free product with the layer's weight, plus residual.
  void linear(const TrainableLinear& l, const float* in, const float* residual, float* out) const {
    throw_if_cancelled(cancelled);
    backend.linear(backend.self, {.in = in,
                                  .weight = n.model_.packed(l),
                                  .bias = l.bias.value,
                                  .residual = residual,
                                  .out = out,
                                  .T = T,
                                  .N = l.N,
                                  .K = l.K,
                                  .activation = Activation::kNone,
                                  .numerics = Numerics::kFast});
  }
  // The gradients of weight and bias from `in`, and that of `in` in d_in; either alone where the other is null.
  void linear_backward(const TrainableLinear& l, const float* d_out, const float* in, float* d_in) const {
    throw_if_cancelled(cancelled);
    backend.linear_backward(backend.self, {.d_out = d_out,
                                           .in = in,
                                           .weight = d_in == nullptr ? nullptr : l.weight.value,
                                           .d_in = d_in,
                                           .d_weight = in == nullptr ? nullptr : l.weight.gradient,
                                           .d_bias = in == nullptr ? nullptr : l.bias.gradient,
                                           .T = T,
                                           .N = l.N,
                                           .K = l.K,
                                           .type = n.model_.product_type()});
  }
  void norm(const TrainableNorm& l, const float* in, float* out) const {
    backend.layernorm(backend.self, {in, l.gamma.value, l.beta.value, out, T, C, c.layer_norm_eps});
  }
  // In place: d becomes the gradient of the norm's input.
  void norm_backward(const TrainableNorm& l, const float* in, float* d) const {
    backend.layernorm_backward(backend.self, {.d_out = d,
                                              .in = in,
                                              .gamma = l.gamma.value,
                                              .d_in = d,
                                              .d_gamma = l.gamma.gradient,
                                              .d_beta = l.beta.gradient,
                                              .T = T,
                                              .C = C,
                                              .eps = c.layer_norm_eps});
  }
  void activate(const float* in, float* out, int N) const {
    backend.activation(backend.self, {in, out, T, N, c.activation});
  }
  // out = residual + dropout(in)
  void dropout(const float* in, const float* residual, float* out, int site, float probability) const {
    backend.dropout(backend.self, {.in = in,
                                   .residual = residual,
                                   .offsets = batch.texts.offsets,
                                   .text_ids = ids,
                                   .out = out,
                                   .B = B,
                                   .T = T,
                                   .C = C,
                                   .dropout = probability,
                                   .seed = n.site_seed(site)});
  }
  void add(const float* in, float* out) const { dropout(in, out, out, 0, 0); }

  // sum = x + dropout(product of in): what a LayerNorm reads.
  void linear_sum(const TrainableLinear& l, const float* in, const float* x, float* sum, int site) const {
    const float p = n.options_.dropout;
    linear(l, in, p == 0 ? x : nullptr, sum);
    if (p > 0) dropout(sum, x, sum, site, p);
  }
  // From the gradient of that sum, which stays, to the gradient of the product.
  const float* product_gradient(const float* d, int site) const {
    const float p = n.options_.dropout;
    if (p == 0) return d;
    float* dropped = n.head_sum_;  // which the head's backward pass was the last to read
    dropout(d, nullptr, dropped, site, p);
    return dropped;
  }

  // The input of a layer, from the sum before it.
  void layer_input(int layer, float* x) const {
    const float* sum = n.sums_[layer];
    norm(layer == 0 ? n.model_.embedding_norm : n.model_.layers[layer - 1].feedforward_norm, sum, x);
    if (layer == 0 && n.options_.dropout > 0) dropout(x, nullptr, x, 0, n.options_.dropout);
  }

  // A layer up to its activation function; x is its input and becomes the feed-forward's.
  void layer_forward(int layer, float* x) const {
    const TrainableLayer& l = n.model_.layers[layer];
    Layer& a = activations(layer);
    linear(l.qkv, x, nullptr, a.qkv);
    backend.attention(backend.self, {.qkv = a.qkv,
                                     .offsets = batch.texts.offsets,
                                     .out = a.context,
                                     .B = B,
                                     .T = T,
                                     .C = C,
                                     .H = c.heads,
                                     .log_sums = a.log_sums,
                                     .text_ids = ids,
                                     .dropout = n.options_.attention_dropout,
                                     .seed = n.site_seed(3 * layer + 1)});
    linear_sum(l.attention_out, a.context, x, a.attention_sum, 3 * layer + 2);
    norm(l.attention_norm, a.attention_sum, x);
    linear(l.feedforward_in, x, nullptr, a.feedforward);
  }

  // d (T, C): the gradient of the layer's output, then of its input; `other` has room for as much.
  void layer_backward(int layer, float* d, float* other) const {
    const TrainableLayer& l = n.model_.layers[layer];
    Layer& a = activations(layer);
    float *x = n.hidden_, *wide = n.wide_;
    if (!n.keeps(layer)) {
      layer_input(layer, x);
      layer_forward(layer, x);
    }
    norm_backward(l.feedforward_norm, n.sums_[layer + 1], d);
    activate(a.feedforward, wide, I);
    const float* d_product = product_gradient(d, 3 * layer + 3);
    linear_backward(l.feedforward_out, d_product, wide, nullptr);
    linear_backward(l.feedforward_out, d_product, nullptr, wide);  // in the place of what has been read
    backend.activation_backward(backend.self, {a.feedforward, wide, wide, T, I, c.activation});
    norm(l.attention_norm, a.attention_sum, x);
    linear_backward(l.feedforward_in, wide, x, other);
    add(other, d);

    norm_backward(l.attention_norm, a.attention_sum, d);
    linear_backward(l.attention_out, product_gradient(d, 3 * layer + 2), a.context, other);
    throw_if_cancelled(cancelled);
    backend.attention_backward(backend.self, {.qkv = a.qkv,
                                              .out = a.context,
                                              .d_out = other,
                                              .log_sums = a.log_sums,
                                              .offsets = batch.texts.offsets,
                                              .text_ids = ids,
                                              .d_qkv = wide,
                                              .B = B,
                                              .T = T,
                                              .C = C,
                                              .H = c.heads,
                                              .dropout = n.options_.attention_dropout,
                                              .seed = n.site_seed(3 * layer + 1)});
    layer_input(layer, x);
    linear_backward(l.qkv, wide, x, other);
    add(other, d);
  }
};

void Network::forward(const MicroBatch& batch, bool keep, const std::atomic<bool>& cancelled) {
  reserve(batch.texts.B, batch.texts.T);
  const Pass pass{*this, batch, keep, cancelled};
  const Backend& backend = model_.backend();
  const ModelConfig& c = model_.config();
  auto* tokens = reinterpret_cast<int32_t*>(tokens_.data());
  backend.upload(backend.self, tokens, batch.texts.tokens, static_cast<size_t>(pass.T) * sizeof(int32_t));
  backend.upload(backend.self, text_ids_.data(), batch.text_ids, static_cast<size_t>(pass.B) * sizeof(int32_t));
  float* x = hidden_;
  backend.embedding(backend.self, {.tokens = tokens,
                                   .offsets = batch.texts.offsets,
                                   .word = model_.word.value,
                                   .position = model_.position.value,
                                   .type = model_.type.value,
                                   .gamma = model_.embedding_norm.gamma.value,
                                   .beta = model_.embedding_norm.beta.value,
                                   .out = x,
                                   .sum = sums_[0],
                                   .B = pass.B,
                                   .T = pass.T,
                                   .C = pass.C,
                                   .V = c.vocabulary_size,
                                   .P = c.max_positions,
                                   .eps = c.layer_norm_eps});
  if (options_.dropout > 0) pass.dropout(x, nullptr, x, 0, options_.dropout);
  for (int n = 0; n < static_cast<int>(model_.layers.size()); ++n) {
    const TrainableLayer& layer = model_.layers[n];
    pass.layer_forward(n, x);
    pass.activate(pass.activations(n).feedforward, wide_, pass.I);
    float* sum = keep ? sums_[n + 1] : sums_[0];
    pass.linear_sum(layer.feedforward_out, wide_, x, sum, 3 * n + 3);
    pass.norm(layer.feedforward_norm, sum, x);
  }
  if (!model_.has_head()) return;
  pass.linear(model_.transform, x, nullptr, head_sum_);
  pass.activate(head_sum_, transformed_, pass.C);
  pass.norm(model_.head_norm, transformed_, transformed_);
}

void Network::backward(const MicroBatch& batch, const std::atomic<bool>& cancelled) {
  const Pass pass{*this, batch, true, cancelled};
  const Backend& backend = model_.backend();
  const ModelConfig& c = model_.config();
  const int layers = static_cast<int>(model_.layers.size());
  float *d = gradient_, *other = transformed_;
  if (model_.has_head()) {
    float *x = hidden_, *head_in = transformed_;
    pass.activate(head_sum_, head_in, pass.C);
    pass.norm_backward(model_.head_norm, head_in, d);
    backend.activation_backward(backend.self, {head_sum_, d, d, pass.T, pass.C, c.activation});
    pass.layer_input(layers, x);
    pass.linear_backward(model_.transform, d, x, other);
    std::swap(d, other);
  }
  for (int n = layers - 1; n >= 0; --n) pass.layer_backward(n, d, other);
  if (options_.dropout > 0) pass.dropout(d, nullptr, d, 0, options_.dropout);
  pass.norm_backward(model_.embedding_norm, sums_[0], d);
  backend.embedding_backward(backend.self, {.tokens = reinterpret_cast<const int32_t*>(tokens_.data()),
                                            .offsets = batch.texts.offsets,
                                            .d_sum = d,
                                            .d_word = model_.word.gradient,
                                            .d_position = model_.position.gradient,
                                            .d_type = model_.type.gradient,
                                            .B = pass.B,
                                            .T = pass.T,
                                            .C = pass.C,
                                            .V = c.vocabulary_size,
                                            .P = c.max_positions});
}

}  // namespace fles
