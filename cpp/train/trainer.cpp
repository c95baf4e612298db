#include "train/trainer.h"

#include <cmath>
#include <numeric>

#include "core/error.h"
#include "train/check.h"
#include "train/stopwatch.h"

namespace fles {
namespace {

void append(Texts& to, const Texts& more) {
  const int shift = static_cast<int>(to.tokens.size());
  to.tokens.insert(to.tokens.end(), more.tokens.begin(), more.tokens.end());
  for (size_t b = 1; b < more.offsets.size(); ++b) to.offsets.push_back(shift + more.offsets[b]);
}

}  // namespace

Trainer::Trainer(const Backend& backend, const ModelSource& source, TrainerOptions options)
    : options_(std::move(options)),
      model_(backend, source, options_.product_type, options_.initialize, options_.seed),
      network_(model_, {options_.dropout, options_.attention_dropout, options_.seed, options_.kept_layers}),
      head_(options_.dense_pooling ? make_dense_head(model_, *options_.dense_pooling)
                                   : make_sparse_head(model_, options_.pooling)),
      objective_(backend, {.columns = head_->columns(),
                           .dense = options_.dense_pooling.has_value(),
                           .pooling = options_.pooling,
                           .bag_queries = options_.bag_queries,
                           .dropped = options_.dropped,
                           .bag_dropped = options_.bag_dropped}),
      scalar_(backend, 1) {
  if (!options_.dense_pooling) {
    require_head();
  } else if (model_.has_head() || options_.bag_queries) {
    fail("ERR_OPTION_VALUE",
         "a dense encoder was given a masked-language-model head or bag queries, expected neither: its vectors are of "
         "hidden states");
  }
}

void Trainer::require_head() const {
  if (model_.has_head()) return;
  fail("ERR_MODEL_HEAD", "the trainer has no masked-language-model head; create it with one (withHead)");
}

size_t Trainer::head_bytes() const { return beside_.bytes() + d_pooled_.bytes() + head_->bytes() + masked_bytes(); }

size_t Trainer::bytes() const { return model_.bytes() + network_.bytes() + head_bytes(); }

double Trainer::norm_of(const float* values, int64_t count) {
  const Backend& b = backend();
  b.square_sum(b.self, {values, scalar_.data(), static_cast<int>(count)});
  float squares;
  b.download(b.self, &squares, scalar_.data(), sizeof squares);
  return std::sqrt(static_cast<double>(squares));
}

// Cuts the texts into micro-batches in their order.
void Trainer::begin(Texts texts, std::vector<int32_t> text_ids) {
  live_ = encoded_ = false;
  texts_ = std::move(texts);
  text_ids_ = std::move(text_ids);
  micros_.clear();
  for (int b = 0; b < texts_.count(); ++b) {
    const int length = texts_.offsets[b + 1] - texts_.offsets[b];
    if (micros_.empty() || micros_.back().offsets.back() + length > options_.micro_batch_tokens) {
      micros_.push_back({b, 0, {0}});
    }
    Micro& micro = micros_.back();
    ++micro.count;
    micro.offsets.push_back(micro.offsets.back() + length);
  }
  network_.begin_step(steps_);
}

MicroBatch Trainer::micro_batch(const Micro& micro) const {
  const int32_t* tokens = texts_.tokens.data() + texts_.offsets[micro.first];
  return {{tokens, micro.offsets.data(), micro.count, micro.offsets.back()}, text_ids_.data() + micro.first};
}

void Trainer::reserve_rows(int rows) {
  const size_t floats = static_cast<size_t>(rows) * columns();
  d_pooled_.reserve(backend(), floats);
  const size_t all = floats + objective_.workspace(rows);
  const bool fits = all <= static_cast<size_t>(model_.count());
  pooled_ = fits ? model_.gradients.data() : beside_.reserve(backend(), all);
  workspace_ = pooled_ + floats;
  has_gradient_ = false;
}

// Pooled values of all texts, from row `first_row` on.
void Trainer::forward(int first_row, Need need, const std::atomic<bool>& cancelled) {
  reserve_rows(first_row + texts_.count());
  head_->begin(texts_.count());
  for (const Micro& micro : micros_) {
    const MicroBatch batch = micro_batch(micro);
    {
      const Stopwatch watch(seconds_.forward);
      network_.forward(batch, &micro == &micros_.back(), cancelled);
    }
    const Stopwatch watch(seconds_.head);
    throw_if_cancelled(cancelled);
    const float* in = network_.output();
    const double norm = norm_of(in, int64_t{batch.texts.T} * model_.config().hidden_size);
    if (!std::isfinite(norm)) {
      fail(
          "ERR_LOSS_NOT_FINITE",
          "the hidden states of texts %d..%d have the norm %g, expected a number; the weights are as before this step: "
          "go back to a checkpoint and lower the learning rate",
          micro.first, micro.first + micro.count - 1, norm);
    }
    head_->forward(batch.texts, micro.first, need, in, pooled_ + (first_row + micro.first) * columns());
  }
  live_ = encoded_ = true;
}

// A new gradient of all parameters from d_pooled_, whose rows from `first_row` on belong to the texts under way. Begins
// with the last micro-batch, whose activations are there.
void Trainer::backward_from(int first_row, const std::atomic<bool>& cancelled) {
  clear_gradients();
  for (auto micro = micros_.rbegin(); micro != micros_.rend(); ++micro) {
    const MicroBatch batch = micro_batch(*micro);
    if (!live_) {
      const Stopwatch watch(seconds_.recompute);
      network_.forward(batch, true, cancelled);
    }
    live_ = false;
    throw_if_cancelled(cancelled);
    {
      const Stopwatch watch(seconds_.head_backward);
      head_->backward(batch.texts, micro->first, network_.output(),
                      d_pooled_.data() + (first_row + micro->first) * columns(), network_.gradient());
    }
    const Stopwatch watch(seconds_.backward);
    network_.backward(batch, cancelled);
  }
}

void Trainer::clear_gradients() {
  const Stopwatch watch(seconds_.update);
  backend().clear(backend().self, model_.gradients.data(), static_cast<size_t>(model_.count()) * sizeof(float));
  has_gradient_ = true;
}

Losses Trainer::evaluate(const TrainingBatch& batch, const ObjectiveSettings& objective) {
  const Stopwatch watch(seconds_.losses);
  Losses losses = objective_.evaluate(batch, objective, pooled_, d_pooled_.data(), workspace_);
  losses.head_bytes = head_bytes();
  return losses;
}

UpdateReport Trainer::apply(const UpdateSettings& settings) {
  const Stopwatch watch(seconds_.update);
  const Backend& b = backend();
  UpdateReport report;
  report.gradient_norm = norm_of(model_.gradients.data(), model_.count());
  if (!std::isfinite(report.gradient_norm)) {
    fail(
        "ERR_LOSS_NOT_FINITE",
        "the gradient of the parameters has the norm %g, expected a number; the weights are as before this step: lower "
        "the learning rate",
        report.gradient_norm);
  }
  report.vanished = report.gradient_norm == 0;
  if (!report.vanished) {
    ++steps_;
    const bool clipped = settings.clip > 0 && report.gradient_norm > settings.clip;
    const auto beta1 = static_cast<float>(settings.beta1), beta2 = static_cast<float>(settings.beta2);
    const auto correction = [&](float beta) {
      return static_cast<float>(1.0 - std::pow(static_cast<double>(beta), static_cast<double>(steps_)));
    };
    const auto update = [&](int64_t first, int64_t count, double decay) {
      b.adamw(b.self, {.parameter = model_.weights.data() + first,
                       .gradient = model_.gradients.data() + first,
                       .first = model_.first.data() + first,
                       .second = model_.second.data() + first,
                       .count = static_cast<int>(count),
                       .rate = static_cast<float>(settings.rate),
                       .beta1 = beta1,
                       .beta2 = beta2,
                       .eps = static_cast<float>(settings.epsilon),
                       .decay = static_cast<float>(decay),
                       .correction1 = correction(beta1),
                       .correction2 = correction(beta2),
                       .scale = clipped ? static_cast<float>(settings.clip / report.gradient_norm) : 1.0f});
    };
    update(0, model_.decaying_count(), settings.weight_decay);
    update(model_.decaying_count(), model_.count() - model_.decaying_count(), 0);
    model_.forget_packed();
    live_ = encoded_ = false;  // with the former weights
  }
  report.steps = steps_;
  report.bytes = bytes();
  return report;
}

StepReport Trainer::step(const TrainingBatch& batch, const ObjectiveSettings& objective, const UpdateSettings& update,
                         const std::atomic<bool>& cancelled) {
  check_training_batch(model_.config(), batch, objective);
  const std::scoped_lock held(one_call_);
  seconds_ = {};
  const int first_row = options_.bag_queries ? batch.queries.count() : 0;
  Texts texts = batch.documents;
  if (!options_.bag_queries) {
    texts = batch.queries;
    append(texts, batch.documents);
  }
  std::vector<int32_t> ids(texts.count());
  std::iota(ids.begin(), ids.end(), 0);
  begin(std::move(texts), std::move(ids));
  // Only the pull on dark documents looks at logits below 0: at the largest of those that are not dropped.
  const bool pulled = objective.weights[static_cast<size_t>(LossTerm::kAntiCollapse)] > 0;
  const int64_t terms = int64_t{objective.collapse_k} + static_cast<int64_t>(options_.dropped.size());
  const Need need{.all = false,
                  .largest = pulled ? static_cast<int>(std::min<int64_t>(terms, columns())) : 0,
                  .first = batch.queries.count() - first_row};
  forward(first_row, need, cancelled);
  StepReport report;
  report.losses = evaluate(batch, objective);
  backward_from(first_row, cancelled);
  throw_if_cancelled(cancelled);
  report.update = apply(update);
  report.seconds = seconds_;
  return report;
}

std::vector<float> Trainer::encode(Texts texts, std::vector<int32_t> text_ids, const std::atomic<bool>& cancelled) {
  check_texts(model_.config(), texts);
  if (text_ids.size() != static_cast<size_t>(texts.count())) {
    fail("ERR_BATCH_SIZE", "textIds has %zu values, expected %d (one a text)", text_ids.size(), texts.count());
  }
  const std::scoped_lock held(one_call_);
  std::vector<float> pooled(static_cast<size_t>(texts.count()) * columns());
  begin(std::move(texts), std::move(text_ids));
  forward(0, {.all = true, .largest = 0, .first = 0}, cancelled);
  backend().download(backend().self, pooled.data(), pooled_, pooled.size() * sizeof(float));
  return pooled;
}

Losses Trainer::losses(const TrainingBatch& batch, const ObjectiveSettings& objective, const std::vector<float>& pooled,
                       std::vector<float>& gradients) {
  check_training_batch(model_.config(), batch, objective);
  const int Q = batch.queries.count(), D = batch.documents.count();
  const int first_row = options_.bag_queries ? Q : 0;
  const size_t expected = static_cast<size_t>(Q + D - first_row) * columns();
  if (pooled.size() != expected) {
    fail("ERR_BATCH_SIZE", "pooled has %zu values, expected %zu (texts times columns)", pooled.size(), expected);
  }
  const std::scoped_lock held(one_call_);
  reserve_rows(Q + D);
  backend().upload(backend().self, pooled_ + first_row * columns(), pooled.data(), pooled.size() * sizeof(float));
  Losses report = evaluate(batch, objective);
  gradients.resize(pooled.size());
  backend().download(backend().self, gradients.data(), d_pooled_.data() + first_row * columns(),
                     gradients.size() * sizeof(float));
  return report;
}

void Trainer::backward(const std::vector<float>& gradients, const std::atomic<bool>& cancelled) {
  const std::scoped_lock held(one_call_);
  if (!encoded_)
    fail("ERR_BATCH_SIZE", "no texts have been encoded, expected those of the gradients; encode them first");
  const size_t expected = static_cast<size_t>(texts_.count()) * columns();
  if (gradients.size() != expected) {
    fail("ERR_BATCH_SIZE", "gradients has %zu values, expected %zu (those of the texts last encoded)", gradients.size(),
         expected);
  }
  reserve_rows(texts_.count());
  backend().upload(backend().self, d_pooled_.data(), gradients.data(), gradients.size() * sizeof(float));
  backward_from(0, cancelled);
}

std::vector<float> Trainer::gradients() {
  const std::scoped_lock held(one_call_);
  if (!has_gradient_) clear_gradients();
  std::vector<float> values(model_.count());
  backend().download(backend().self, values.data(), model_.gradients.data(), values.size() * sizeof(float));
  return values;
}

void Trainer::add_gradients(const std::vector<float>& gradients) {
  if (gradients.size() != static_cast<size_t>(model_.count())) {
    fail("ERR_BATCH_SIZE", "gradients has %zu values, expected %lld", gradients.size(),
         static_cast<long long>(model_.count()));
  }
  const std::scoped_lock held(one_call_);
  if (!has_gradient_) clear_gradients();
  constexpr int64_t kPart = 1 << 20;
  const Backend& b = backend();
  Buffer part(b, kPart);
  for (int64_t first = 0; first < model_.count(); first += kPart) {
    const int count = static_cast<int>(std::min(kPart, model_.count() - first));
    const int32_t offsets[2] = {0, 1};
    float* sum = model_.gradients.data() + first;
    b.upload(b.self, part.data(), gradients.data() + first, static_cast<size_t>(count) * sizeof(float));
    // One row of `count` columns, nothing dropped: a sum.
    b.dropout(b.self, {.in = part.data(),
                       .residual = sum,
                       .offsets = offsets,
                       .text_ids = nullptr,
                       .out = sum,
                       .B = 1,
                       .T = 1,
                       .C = count,
                       .dropout = 0,
                       .seed = 0});
  }
}

UpdateReport Trainer::update(const UpdateSettings& settings) {
  const std::scoped_lock held(one_call_);
  if (!has_gradient_) clear_gradients();
  return apply(settings);
}

void Trainer::lower_bias(float by) {
  if (!std::isfinite(by)) {
    fail("ERR_OPTION_RANGE", "the bias is to be lowered by %g, expected a number", static_cast<double>(by));
  }
  require_head();
  const std::scoped_lock held(one_call_);
  live_ = false;
  std::vector<float> bias(model_.config().vocabulary_size);
  float* place = model_.decoder.bias.value;
  backend().download(backend().self, bias.data(), place, bias.size() * sizeof(float));
  for (float& value : bias) value -= by;
  backend().upload(backend().self, place, bias.data(), bias.size() * sizeof(float));
  model_.forget_packed();
}

}  // namespace fles
