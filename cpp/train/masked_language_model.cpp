// Steps of masked language modelling (Devlin et al. 2018, arXiv:1810.04805). The loss is a mean over positions whose
// number is known at once, so every micro-batch goes forward and backward before the next; logits exist for a few
// positions at a time.
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "train/check.h"
#include "train/stopwatch.h"
#include "train/trainer.h"

namespace fles {
namespace {
constexpr int kPositions = 128;  // at a time: 15 MB of logits with 30,000 terms
}

struct Trainer::Masked {
  Buffer rows, labels, hidden, d_hidden, logits, losses, correct;

  Masked(const Backend& backend, int C, int V)
      : rows(backend, kPositions),
        labels(backend, kPositions),
        hidden(backend, static_cast<size_t>(kPositions) * C),
        d_hidden(backend, static_cast<size_t>(kPositions) * C),
        logits(backend, static_cast<size_t>(kPositions) * V),
        losses(backend, kPositions),
        correct(backend, kPositions) {}
  static size_t bytes(int C, int V) {
    return static_cast<size_t>(kPositions) * (4 + 2 * static_cast<size_t>(C) + V) * sizeof(float);
  }
};

// Loss and gradients of some positions of the micro-batch in the network: `rows` of it have `labels`.
void Trainer::predict(Masked& m, const std::vector<int32_t>& rows, const std::vector<int32_t>& labels, int T,
                      double scale, MaskedReport& report) {
  const Backend& b = backend();
  const ModelConfig& c = model_.config();
  const int M = static_cast<int>(rows.size()), C = c.hidden_size, V = c.vocabulary_size;
  const auto* places = reinterpret_cast<const int32_t*>(m.rows.data());
  auto* correct = reinterpret_cast<int32_t*>(m.correct.data());
  {
    const Stopwatch watch(seconds_.head);
    b.upload(b.self, m.rows.data(), rows.data(), rows.size() * sizeof(int32_t));
    b.upload(b.self, m.labels.data(), labels.data(), labels.size() * sizeof(int32_t));
    b.gather_rows(b.self, {network_.output(), places, m.hidden.data(), T, C, M});
    b.linear(b.self, {.in = m.hidden.data(),
                      .weight = model_.packed(model_.decoder),
                      .bias = model_.decoder.bias.value,
                      .residual = nullptr,
                      .out = m.logits.data(),
                      .T = M,
                      .N = V,
                      .K = C,
                      .activation = Activation::kNone,
                      .numerics = Numerics::kFast});
    b.cross_entropy(b.self, {.logits = m.logits.data(),
                             .labels = reinterpret_cast<const int32_t*>(m.labels.data()),
                             .losses = m.losses.data(),
                             .correct = correct,
                             .d_logits = m.logits.data(),
                             .M = M,
                             .V = V,
                             .scale = static_cast<float>(scale)});
    std::vector<float> losses(M);
    std::vector<int32_t> hits(M);
    b.download(b.self, losses.data(), m.losses.data(), losses.size() * sizeof(float));
    b.download(b.self, hits.data(), correct, hits.size() * sizeof(int32_t));
    for (const float loss : losses) report.loss += scale * loss;
    for (const int32_t hit : hits) report.accuracy += scale * hit;
  }
  const Stopwatch watch(seconds_.head_backward);
  b.linear_backward(b.self, {.d_out = m.logits.data(),
                             .in = m.hidden.data(),
                             .weight = model_.decoder.weight.value,
                             .d_in = m.d_hidden.data(),
                             .d_weight = model_.decoder.weight.gradient,
                             .d_bias = model_.decoder.bias.gradient,
                             .T = M,
                             .N = V,
                             .K = C,
                             .type = model_.product_type()});
  b.gather_rows_backward(b.self, {m.d_hidden.data(), places, network_.gradient(), T, C, M});
}

MaskedReport Trainer::step_masked(const MaskedBatch& batch, const UpdateSettings& update,
                                  const std::atomic<bool>& cancelled) {
  require_head();
  check_masked_batch(model_.config(), batch);
  const std::scoped_lock held(one_call_);
  seconds_ = {};
  const ModelConfig& c = model_.config();
  std::vector<int32_t> ids(batch.texts.count());
  std::iota(ids.begin(), ids.end(), 0);
  begin(batch.texts, std::move(ids));
  clear_gradients();
  if (masked_ == nullptr) masked_ = std::make_shared<Masked>(backend(), c.hidden_size, c.vocabulary_size);

  MaskedReport report;
  for (const int32_t label : batch.labels) report.predictions += label >= 0;
  const double scale = 1.0 / static_cast<double>(report.predictions);
  for (const Micro& micro : micros_) {
    const MicroBatch texts = micro_batch(micro);
    const int T = texts.texts.T;
    {
      const Stopwatch watch(seconds_.forward);
      network_.forward(texts, true, cancelled);
    }
    backend().clear(backend().self, network_.gradient(), static_cast<size_t>(T) * c.hidden_size * sizeof(float));
    std::vector<int32_t> rows, labels;
    const int32_t* all = batch.labels.data() + texts_.offsets[micro.first];
    for (int t = 0; t < T; ++t) {
      if (all[t] >= 0) rows.push_back(t), labels.push_back(all[t]);
      if (rows.size() < kPositions && (t + 1 < T || rows.empty())) continue;
      throw_if_cancelled(cancelled);
      predict(*masked_, rows, labels, T, scale, report);
      rows.clear(), labels.clear();
    }
    const Stopwatch watch(seconds_.backward);
    network_.backward(texts, cancelled);
  }
  if (!std::isfinite(report.loss)) {
    fail("ERR_LOSS_NOT_FINITE",
         "the loss is %g, expected a number; the weights are as before this step: lower the learning rate",
         report.loss);
  }
  report.update = apply(update);
  report.head_bytes = head_bytes();
  report.seconds = seconds_;
  return report;
}

size_t Trainer::masked_bytes() const {
  return masked_ == nullptr ? 0 : Masked::bytes(model_.config().hidden_size, model_.config().vocabulary_size);
}

}  // namespace fles
