#include "model/encoder.h"

#include <cmath>

#include "core/error.h"

namespace fles {
namespace {

void reserve(const Backend& backend, Buffer& buffer, size_t& capacity, size_t floats) {
  if (floats <= capacity) return;
  buffer = Buffer();
  buffer = Buffer(backend, floats);
  capacity = floats;
}

// A logit whose weight is surely not above the threshold, just below where it is.
float lowest_logit(const SparseOptions& options) {
  double logit = std::expm1(static_cast<double>(options.threshold));
  if (options.pooling == SparsePooling::kLog1pLog1p) logit = std::expm1(logit);
  return static_cast<float>(logit * (1 - 1e-6));
}

}  // namespace

WeightActivation activation_of(SparsePooling pooling) {
  switch (pooling) {
    case SparsePooling::kSum:
    case SparsePooling::kSumLog1pLog1p:
      return WeightActivation::kNone;  // the head has applied it token by token
    case SparsePooling::kLog1pLog1p:
      return WeightActivation::kLog1pLog1p;
    case SparsePooling::kMax:
      break;
  }
  return WeightActivation::kLog1p;
}

HeadPooling head_pooling_of(SparsePooling pooling) {
  switch (pooling) {
    case SparsePooling::kSum:
      return HeadPooling::kSum;
    case SparsePooling::kSumLog1pLog1p:
      return HeadPooling::kSumLog1p;
    case SparsePooling::kMax:
    case SparsePooling::kLog1pLog1p:
      break;
  }
  return HeadPooling::kMax;  // the activation is monotone: it comes after the maximum
}

Encoder::Encoder(const Backend& backend, const ModelSource& source)
    : backend_(backend), parameters_(load_parameters(backend, source)), with_head_(source.with_head) {}

void Encoder::pool(const RaggedBatch& batch, const SparseOptions& options, const float* transformed) {
  const Parameters& p = parameters_;
  const HeadPooling pooling = head_pooling_of(options.pooling);
  const bool screened = p.screen != nullptr && pooling == HeadPooling::kMax && screen_.wanted();
  if (!candidates_) candidates_ = Buffer(backend_, 1);
  auto* candidates = reinterpret_cast<int32_t*>(candidates_.data());
  backend_.sparse_head(backend_.self, {.in = transformed,
                                       .weight = p.decoder.weight.get(),
                                       .bias = p.decoder.bias.data(),
                                       .offsets = batch.offsets,
                                       .pooled = pooled_.data(),
                                       .argmax = nullptr,
                                       .B = batch.B,
                                       .T = batch.T,
                                       .C = p.config.hidden_size,
                                       .V = p.config.vocabulary_size,
                                       .pooling = pooling,
                                       .screen = screened ? p.screen.get() : nullptr,
                                       .candidates = candidates,
                                       .cut = lowest_logit(options)});
  if (!screened) return;
  int32_t count = 0;
  backend_.download(backend_.self, &count, candidates, sizeof count);
  screen_.seen(count, int64_t{batch.B} * p.config.vocabulary_size);
}

SparseRows Encoder::encode_sparse(const RaggedBatch& batch, const SparseOptions& options,
                                  const std::atomic<bool>& cancelled) {
  if (!with_head_) {
    fail("ERR_MODEL_HEAD", "the model has no masked-language-model head, which sparse vectors need; use dense mode");
  }
  check_batch(config(), batch);
  SparseRows rows;
  rows.offsets.assign(1, 0);
  if (batch.T == 0) {
    rows.offsets.resize(batch.B + 1, 0);
    return rows;
  }
  const std::scoped_lock held(one_call_);
  const Parameters& p = parameters_;
  const int T = batch.T, B = batch.B, C = p.config.hidden_size, V = p.config.vocabulary_size;
  const int k = options.top_k > 0 && options.top_k < V ? options.top_k : V;

  bert_forward(backend_, p, batch, workspace_, cancelled);
  float* hidden = workspace_.hidden.data();
  float* transformed = workspace_.context.data();
  throw_if_cancelled(cancelled);
  backend_.linear(backend_.self, {hidden, p.transform.weight.get(), p.transform.bias.data(), nullptr, transformed, T, C,
                                  C, p.config.activation});
  backend_.layernorm(backend_.self, {transformed, p.head_norm.gamma.data(), p.head_norm.beta.data(), transformed, T, C,
                                     p.config.layer_norm_eps});
  throw_if_cancelled(cancelled);

  const size_t row_floats = static_cast<size_t>(B) * V;
  reserve(backend_, pooled_, pooled_capacity_, row_floats);
  pool(batch, options, transformed);
  throw_if_cancelled(cancelled);

  if (!counts_ || static_cast<size_t>(B) > rows_capacity_) {
    counts_ = Buffer(backend_, B);
    rows_capacity_ = B;
  }
  const size_t kept = static_cast<size_t>(B) * k;
  if (kept > kept_capacity_) {
    terms_ = weights_ = Buffer();
    terms_ = Buffer(backend_, kept);
    weights_ = Buffer(backend_, kept);
    kept_capacity_ = kept;
  }
  const uint8_t* drop = nullptr;
  if (!options.dropped.empty()) {
    std::vector<uint8_t> mask(V, 0);
    for (const int32_t term : options.dropped) {
      if (term >= 0 && term < V) mask[term] = 1;
    }
    if (!drop_) drop_ = Buffer(backend_, V / sizeof(float) + 1);
    backend_.upload(backend_.self, drop_.data(), mask.data(), mask.size());
    drop = reinterpret_cast<const uint8_t*>(drop_.data());
  }
  auto* counts = reinterpret_cast<int32_t*>(counts_.data());
  auto* terms = reinterpret_cast<int32_t*>(terms_.data());
  backend_.topk_threshold(backend_.self, {pooled_.data(), drop, counts, terms, weights_.data(), B, V, k,
                                          options.threshold, activation_of(options.pooling)});

  std::vector<int32_t> host_counts(B);
  backend_.download(backend_.self, host_counts.data(), counts, static_cast<size_t>(B) * sizeof(int32_t));
  for (const int32_t count : host_counts) rows.offsets.push_back(rows.offsets.back() + count);
  rows.terms.resize(rows.offsets.back());
  rows.weights.resize(rows.offsets.back());
  for (int64_t b = 0; b < B; ++b) {
    const size_t bytes = static_cast<size_t>(host_counts[b]) * sizeof(float);
    backend_.download(backend_.self, rows.terms.data() + rows.offsets[b], terms + b * k, bytes);
    backend_.download(backend_.self, rows.weights.data() + rows.offsets[b], weights_.data() + b * k, bytes);
  }
  return rows;
}

std::vector<float> Encoder::encode_dense(const RaggedBatch& batch, const DenseOptions& options,
                                         const std::atomic<bool>& cancelled) {
  check_batch(config(), batch);
  const int C = config().hidden_size;
  std::vector<float> out(static_cast<size_t>(batch.B) * C, 0.0f);
  if (batch.T == 0) return out;
  const std::scoped_lock held(one_call_);
  bert_forward(backend_, parameters_, batch, workspace_, cancelled);
  reserve(backend_, pooled_, pooled_capacity_, out.size());
  backend_.dense_pool(backend_.self, {workspace_.hidden.data(), batch.offsets, pooled_.data(), batch.B, batch.T, C,
                                      options.normalize ? 1 : 0, options.pooling});
  backend_.download(backend_.self, out.data(), pooled_.data(), out.size() * sizeof(float));
  return out;
}

}  // namespace fles
