#include "model/encoder.h"

#include <bit>
#include <cmath>

#include "core/error.h"

namespace fles {
namespace {

// A logit whose weight is surely not above the threshold, just below where it is.
float lowest_logit(const SparseOptions& options) {
  double logit = std::expm1(static_cast<double>(options.threshold));
  if (options.pooling == SparsePooling::kLog1pLog1p) logit = std::expm1(logit);
  return static_cast<float>(logit * (1 - 1e-6));
}

// A maximum passes NaN over, so that a text of nothing else would have an empty vector: nobody would see it.
void require_finite(int B, const std::vector<float>& values) {
  for (const float value : values) {
    if (std::isfinite(value)) continue;
    fail("ERR_VECTOR_NOT_FINITE",
         "the network came to %g in a batch of %d texts, expected finite numbers: its weights are damaged or too "
         "large; use another checkpoint",
         static_cast<double>(value), B);
  }
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
    : backend_(backend), parameters_(load_parameters(backend, source)), with_head_(source.with_head) {
  for (Results& results : results_) {
    results.complete = {backend.create_mark(backend.self),
                        [&backend](Mark* mark) { backend.release_mark(backend.self, mark); }};
  }
}

std::shared_ptr<Encoder::Results> Encoder::take_results() {
  std::unique_lock held(results_lock_);
  Results* free = nullptr;
  results_free_.wait(held, [&] {
    for (Results& results : results_) free = results.taken ? free : &results;
    return free != nullptr;
  });
  free->taken = true;
  return {free, [this](Results* results) {
            const std::scoped_lock again(results_lock_);
            results->taken = false;
            results_free_.notify_one();
          }};
}

const float* Encoder::pool(const RaggedBatch& batch, const SparseOptions& options, const float* transformed) {
  const Parameters& p = parameters_;
  const HeadPooling pooling = head_pooling_of(options.pooling);
  const bool screened = p.screen != nullptr && pooling == HeadPooling::kMax && screen_.wanted();
  float* pooled = pooled_.reserve(backend_, static_cast<size_t>(batch.B) * p.config.vocabulary_size);
  int32_t* candidates = screened ? reinterpret_cast<int32_t*>(candidates_.reserve(backend_, 1)) : nullptr;
  backend_.sparse_head(backend_.self, {.in = transformed,
                                       .weight = p.decoder.weight.get(),
                                       .bias = p.decoder.bias.data(),
                                       .offsets = batch.offsets,
                                       .pooled = pooled,
                                       .argmax = nullptr,
                                       .B = batch.B,
                                       .T = batch.T,
                                       .C = p.config.hidden_size,
                                       .V = p.config.vocabulary_size,
                                       .pooling = pooling,
                                       .screen = screened ? p.screen.get() : nullptr,
                                       .candidates = candidates,
                                       .cut = lowest_logit(options),
                                       .least = 0,
                                       .least_from = 0});
  if (screened) {
    int32_t count = 0;
    backend_.download(backend_.self, &count, candidates, sizeof count);
    screen_.seen(count, int64_t{batch.B} * p.config.vocabulary_size);
  }
  return pooled;
}

const uint8_t* Encoder::drop(const SparseOptions& options) {
  if (options.dropped.empty()) return nullptr;
  const int V = config().vocabulary_size;
  std::vector<uint8_t> mask(V, 0);
  for (const int32_t term : options.dropped) {
    if (term >= 0 && term < V) mask[term] = 1;
  }
  float* memory = drop_.reserve(backend_, V / sizeof(float) + 1);
  backend_.upload(backend_.self, memory, mask.data(), mask.size());
  return reinterpret_cast<const uint8_t*>(memory);
}

std::function<SparseRows()> Encoder::start_sparse(const RaggedBatch& batch, const SparseOptions& options,
                                                  const std::atomic<bool>& cancelled) {
  if (!with_head_) {
    fail("ERR_MODEL_HEAD", "the model has no masked-language-model head, which sparse vectors need; use dense mode");
  }
  check_batch(config(), batch);
  const int T = batch.T, B = batch.B, C = config().hidden_size, V = config().vocabulary_size;
  if (T == 0) return [B] { return SparseRows{.offsets = std::vector<int64_t>(B + 1, 0), .terms = {}, .weights = {}}; };
  std::shared_ptr<Results> results = take_results();
  const std::scoped_lock held(one_call_);
  const Parameters& p = parameters_;

  bert_forward(backend_, p, batch, workspace_, cancelled);
  float* hidden = workspace_.hidden.data();
  float* transformed = workspace_.context.data();
  throw_if_cancelled(cancelled);
  backend_.linear(backend_.self, {hidden, p.transform.weight.get(), p.transform.bias.data(), nullptr, transformed, T, C,
                                  C, p.config.activation});
  backend_.layernorm(backend_.self, {transformed, p.head_norm.gamma.data(), p.head_norm.beta.data(), transformed, T, C,
                                     p.config.layer_norm_eps});
  // Before the offsets, so that they come together. Of both, since int8 makes numbers of NaN.
  float* squares = results->offsets.reserve(backend_, static_cast<size_t>(B) + 3);
  backend_.square_sum(backend_.self, {hidden, squares, T * C});
  backend_.square_sum(backend_.self, {transformed, squares + 1, T * C});
  throw_if_cancelled(cancelled);
  const float* pooled = pool(batch, options, transformed);
  throw_if_cancelled(cancelled);

  const int k = options.top_k > 0 && options.top_k < V ? options.top_k : V;
  const size_t kept = static_cast<size_t>(B) * k;
  auto* offsets = reinterpret_cast<int32_t*>(squares + 2);
  auto* terms = reinterpret_cast<int32_t*>(results->terms.reserve(backend_, kept));
  float* weights = results->weights.reserve(backend_, kept);
  backend_.topk_threshold(backend_.self, {pooled, drop(options), offsets, terms, weights, B, V, k, options.threshold,
                                          activation_of(options.pooling)});
  backend_.set_mark(backend_.self, results->complete.get());

  return [this, results = std::move(results), squares, terms, weights, B]() mutable {
    const std::shared_ptr<Results> own = std::move(results);  // given back at the end of this call
    const auto download = [&](void* to, const void* from, size_t count) {
      backend_.download_at(backend_.self, own->complete.get(), to, from, count * sizeof(float));
    };
    std::vector<int32_t> ends(static_cast<size_t>(B) + 3);  // two sums of squares, then the offsets
    download(ends.data(), squares, ends.size());
    require_finite(B, {std::bit_cast<float>(ends[0]), std::bit_cast<float>(ends[1])});
    SparseRows rows{.offsets = {ends.begin() + 2, ends.end()},
                    .terms = std::vector<int32_t>(ends.back()),
                    .weights = std::vector<float>(ends.back())};
    download(rows.terms.data(), terms, rows.terms.size());
    download(rows.weights.data(), weights, rows.weights.size());
    require_finite(B, rows.weights);
    return rows;
  };
}

SparseRows Encoder::encode_sparse(const RaggedBatch& batch, const SparseOptions& options,
                                  const std::atomic<bool>& cancelled) {
  return start_sparse(batch, options, cancelled)();
}

std::function<std::vector<float>()> Encoder::start_dense(const RaggedBatch& batch, const DenseOptions& options,
                                                         const std::atomic<bool>& cancelled) {
  check_batch(config(), batch);
  const int C = config().hidden_size;
  const size_t values = static_cast<size_t>(batch.B) * C;
  if (batch.T == 0) return [values] { return std::vector<float>(values, 0.0f); };
  std::shared_ptr<Results> results = take_results();
  const std::scoped_lock held(one_call_);
  bert_forward(backend_, parameters_, batch, workspace_, cancelled);
  float* vectors = results->weights.reserve(backend_, values);
  backend_.dense_pool(backend_.self, {workspace_.hidden.data(), batch.offsets, vectors, batch.B, batch.T, C,
                                      options.normalize ? 1 : 0, options.pooling});
  backend_.set_mark(backend_.self, results->complete.get());

  return [this, results = std::move(results), vectors, values, B = batch.B]() mutable {
    const std::shared_ptr<Results> own = std::move(results);
    std::vector<float> out(values);
    backend_.download_at(backend_.self, own->complete.get(), out.data(), vectors, values * sizeof(float));
    require_finite(B, out);
    return out;
  };
}

std::vector<float> Encoder::encode_dense(const RaggedBatch& batch, const DenseOptions& options,
                                         const std::atomic<bool>& cancelled) {
  return start_dense(batch, options, cancelled)();
}

}  // namespace fles
