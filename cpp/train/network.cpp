#include "train/network.h"

#include <algorithm>

#include "core/error.h"
#include "ops/random.h"

namespace fles {

Network::Network(TrainableModel& model, const NetworkOptions& options) : model_(model), options_(options) {
  const int layers = static_cast<int>(model.layers.size());
  options_.kept_layers = std::min(options_.kept_layers, layers);
  sums_.resize(layers + 1);
  kept_.resize(layers);
}

Buffer Network::allocate(int64_t rows, int64_t columns) const {
  return {model_.backend(), static_cast<size_t>(rows * columns)};
}

int64_t Network::wide() const {
  const ModelConfig& c = model_.config();
  return std::max<int64_t>(c.intermediate_size, 3 * int64_t{c.hidden_size});
}

int64_t Network::of_layer() const {
  const ModelConfig& c = model_.config();
  return 5 * int64_t{c.hidden_size} + c.heads + c.intermediate_size;
}

size_t Network::bytes() const {
  const int64_t C = model_.config().hidden_size, layers = static_cast<int64_t>(kept_.size());
  const int64_t always = capacity_ * (1 + 6 * C + wide()) + shared_capacity_ * of_layer();
  const int64_t kept = kept_capacity_ * (3 * C + wide() + layers * C + options_.kept_layers * of_layer());
  return static_cast<size_t>(text_capacity_ + always + kept) * sizeof(float);
}

void Network::reserve(int B, int T, bool keep) {
  const ModelConfig& c = model_.config();
  const int64_t C = c.hidden_size;
  const auto allocate_layer = [&](Layer& l) {
    l.qkv = allocate(T, 3 * C), l.log_sums = allocate(T, c.heads), l.context = allocate(T, C);
    l.attention_sum = allocate(T, C), l.feedforward = allocate(T, c.intermediate_size);
  };
  // What is too small goes before what replaces it comes, so that the peak is the new size alone.
  if (B > text_capacity_) {
    text_capacity_ = 0;
    text_ids_ = Buffer();
    text_ids_ = allocate(B, 1);
    text_capacity_ = B;
  }
  if (T > capacity_) {
    capacity_ = 0;
    tokens_ = hidden_ = transformed_ = wide_ = head_sum_ = head_in_ = sums_[0] = Buffer();
    tokens_ = allocate(T, 1), wide_ = allocate(T, wide());
    for (Buffer* buffer : {&hidden_, &transformed_, &head_sum_, &head_in_, &sums_[0]}) *buffer = allocate(T, C);
    capacity_ = T;
  }
  const bool all_kept = keep && options_.kept_layers == static_cast<int>(kept_.size());
  if (!all_kept && T > shared_capacity_) {
    shared_capacity_ = 0;
    shared_ = Layer();
    allocate_layer(shared_);
    shared_capacity_ = T;
  }
  if (keep && T > kept_capacity_) {
    kept_capacity_ = 0;
    gradient_ = other_ = dropped_ = d_wide_ = Buffer();
    std::fill(sums_.begin() + 1, sums_.end(), Buffer());
    std::fill(kept_.begin(), kept_.end(), Layer());
    d_wide_ = allocate(T, wide());
    for (Buffer* buffer : {&gradient_, &other_, &dropped_}) *buffer = allocate(T, C);
    for (size_t n = 0; n < kept_.size(); ++n) {
      sums_[n + 1] = allocate(T, C);
      if (keeps(static_cast<int>(n))) allocate_layer(kept_[n]);
    }
    kept_capacity_ = T;
  }
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
  void linear_backward(const TrainableLinear& l, const float* d_out, const float* in, float* d_in) const {
    throw_if_cancelled(cancelled);
    backend.linear_backward(backend.self, {.d_out = d_out,
                                           .in = in,
                                           .weight = l.weight.value,
                                           .d_in = d_in,
                                           .d_weight = l.weight.gradient,
                                           .d_bias = l.bias.gradient,
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
  // Its backward pass: d (T, C), the gradient of the sum, stays; the gradient of `in` goes to d_in.
  void linear_sum_backward(const TrainableLinear& l, const float* d, const float* in, float* d_in, int site) const {
    const float p = n.options_.dropout;
    float* dropped = n.dropped_.data();
    if (p > 0) dropout(d, nullptr, dropped, site, p);
    linear_backward(l, p > 0 ? dropped : d, in, d_in);
  }

  // The input of a layer, from the sum before it.
  void layer_input(int layer, float* x) const {
    const float* sum = n.sums_[layer].data();
    norm(layer == 0 ? n.model_.embedding_norm : n.model_.layers[layer - 1].feedforward_norm, sum, x);
    if (layer == 0 && n.options_.dropout > 0) dropout(x, nullptr, x, 0, n.options_.dropout);
  }

  // A layer up to its activation function; x is its input and becomes the feed-forward's.
  void layer_forward(int layer, float* x) const {
    const TrainableLayer& l = n.model_.layers[layer];
    Layer& a = activations(layer);
    linear(l.qkv, x, nullptr, a.qkv.data());
    backend.attention(backend.self, {.qkv = a.qkv.data(),
                                     .offsets = batch.texts.offsets,
                                     .out = a.context.data(),
                                     .B = B,
                                     .T = T,
                                     .C = C,
                                     .H = c.heads,
                                     .log_sums = a.log_sums.data(),
                                     .text_ids = ids,
                                     .dropout = n.options_.attention_dropout,
                                     .seed = n.site_seed(3 * layer + 1)});
    linear_sum(l.attention_out, a.context.data(), x, a.attention_sum.data(), 3 * layer + 2);
    norm(l.attention_norm, a.attention_sum.data(), x);
    linear(l.feedforward_in, x, nullptr, a.feedforward.data());
  }

  // d (T, C): the gradient of the layer's output, then of its input.
  void layer_backward(int layer, float* d) const {
    const TrainableLayer& l = n.model_.layers[layer];
    Layer& a = activations(layer);
    float *x = n.hidden_.data(), *wide = n.wide_.data(), *d_wide = n.d_wide_.data(), *other = n.other_.data();
    if (!n.keeps(layer)) {
      layer_input(layer, x);
      layer_forward(layer, x);
    }
    norm_backward(l.feedforward_norm, n.sums_[layer + 1].data(), d);
    activate(a.feedforward.data(), wide, I);
    linear_sum_backward(l.feedforward_out, d, wide, d_wide, 3 * layer + 3);
    backend.activation_backward(backend.self, {a.feedforward.data(), d_wide, d_wide, T, I, c.activation});
    norm(l.attention_norm, a.attention_sum.data(), x);
    linear_backward(l.feedforward_in, d_wide, x, other);
    add(other, d);

    norm_backward(l.attention_norm, a.attention_sum.data(), d);
    linear_sum_backward(l.attention_out, d, a.context.data(), other, 3 * layer + 2);
    throw_if_cancelled(cancelled);
    backend.attention_backward(backend.self, {.qkv = a.qkv.data(),
                                              .out = a.context.data(),
                                              .d_out = other,
                                              .log_sums = a.log_sums.data(),
                                              .offsets = batch.texts.offsets,
                                              .text_ids = ids,
                                              .d_qkv = d_wide,
                                              .B = B,
                                              .T = T,
                                              .C = C,
                                              .H = c.heads,
                                              .dropout = n.options_.attention_dropout,
                                              .seed = n.site_seed(3 * layer + 1)});
    layer_input(layer, x);
    linear_backward(l.qkv, d_wide, x, other);
    add(other, d);
  }
};

void Network::forward(const MicroBatch& batch, bool keep, const std::atomic<bool>& cancelled) {
  reserve(batch.texts.B, batch.texts.T, keep);
  const Pass pass{*this, batch, keep, cancelled};
  const Backend& backend = model_.backend();
  const ModelConfig& c = model_.config();
  auto* tokens = reinterpret_cast<int32_t*>(tokens_.data());
  backend.upload(backend.self, tokens, batch.texts.tokens, static_cast<size_t>(pass.T) * sizeof(int32_t));
  backend.upload(backend.self, text_ids_.data(), batch.text_ids, static_cast<size_t>(pass.B) * sizeof(int32_t));
  float* x = hidden_.data();
  backend.embedding(backend.self, {.tokens = tokens,
                                   .offsets = batch.texts.offsets,
                                   .word = model_.word.value,
                                   .position = model_.position.value,
                                   .type = model_.type.value,
                                   .gamma = model_.embedding_norm.gamma.value,
                                   .beta = model_.embedding_norm.beta.value,
                                   .out = x,
                                   .sum = sums_[0].data(),
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
    pass.activate(pass.activations(n).feedforward.data(), wide_.data(), pass.I);
    float* sum = keep ? sums_[n + 1].data() : sums_[0].data();
    pass.linear_sum(layer.feedforward_out, wide_.data(), x, sum, 3 * n + 3);
    pass.norm(layer.feedforward_norm, sum, x);
  }
  if (!model_.has_head()) return;
  pass.linear(model_.transform, x, nullptr, head_sum_.data());
  pass.activate(head_sum_.data(), head_in_.data(), pass.C);
  pass.norm(model_.head_norm, head_in_.data(), transformed_.data());
}

void Network::backward(const MicroBatch& batch, const std::atomic<bool>& cancelled) {
  const Pass pass{*this, batch, true, cancelled};
  const Backend& backend = model_.backend();
  const ModelConfig& c = model_.config();
  const int layers = static_cast<int>(model_.layers.size());
  if (model_.has_head()) {
    float *d = gradient_.data(), *x = hidden_.data();
    pass.norm_backward(model_.head_norm, head_in_.data(), d);
    backend.activation_backward(backend.self, {head_sum_.data(), d, d, pass.T, pass.C, c.activation});
    pass.layer_input(layers, x);
    pass.linear_backward(model_.transform, d, x, other_.data());
    std::swap(gradient_, other_);
  }
  float* d = gradient_.data();
  for (int n = layers - 1; n >= 0; --n) pass.layer_backward(n, d);
  if (options_.dropout > 0) pass.dropout(d, nullptr, d, 0, options_.dropout);
  pass.norm_backward(model_.embedding_norm, sums_[0].data(), d);
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
