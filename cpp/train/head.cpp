#include "train/head.h"

#include <algorithm>

namespace fles {
namespace {

class SparseHead : public Head {
 public:
  SparseHead(TrainableModel& model, SparsePooling pooling)
      : model_(model), pooling_(head_pooling_of(pooling)), candidates_(model.backend(), 1) {}

  int columns() const override { return model_.config().vocabulary_size; }

  void begin(int texts) override {
    if (keeps_places()) argmax_.reserve(model_.backend(), static_cast<size_t>(texts) * columns());
  }

  void forward(const RaggedBatch& texts, int first_text, Need need, const float* in, float* rows) override {
    const Backend& b = model_.backend();
    const bool screened = keeps_places() && !need.all && screen_.wanted();
    const PackedMatrix* screen = screened ? model_.screen() : nullptr;
    auto* candidates = reinterpret_cast<int32_t*>(candidates_.data());
    b.sparse_head(b.self, {.in = in,
                           .weight = model_.packed(model_.decoder),
                           .bias = model_.decoder.bias.value,
                           .offsets = texts.offsets,
                           .pooled = rows,
                           .argmax = places_of(first_text),
                           .B = texts.B,
                           .T = texts.T,
                           .C = model_.config().hidden_size,
                           .V = columns(),
                           .pooling = pooling_,
                           .screen = screen,
                           .candidates = screen == nullptr ? nullptr : candidates,
                           .cut = 0.0f,
                           .least = need.largest,
                           .least_from = std::max(0, need.first - first_text),
                           .numerics = Numerics::kFast});
    if (screen == nullptr) return;
    int32_t count = 0;
    b.download(b.self, &count, candidates, sizeof count);
    screen_.seen(count, int64_t{texts.B} * columns());
  }

  void backward(const RaggedBatch& texts, int first_text, const float* in, const float* d_rows, float* d_in) override {
    const Backend& b = model_.backend();
    b.sparse_head_backward(b.self, {.d_pooled = d_rows,
                                    .argmax = places_of(first_text),
                                    .in = in,
                                    .weight = model_.decoder.weight.value,
                                    .bias = model_.decoder.bias.value,
                                    .offsets = texts.offsets,
                                    .d_in = d_in,
                                    .d_weight = model_.decoder.weight.gradient,
                                    .d_bias = model_.decoder.bias.gradient,
                                    .B = texts.B,
                                    .T = texts.T,
                                    .C = model_.config().hidden_size,
                                    .V = columns(),
                                    .pooling = pooling_});
  }

  size_t bytes() const override { return argmax_.bytes(); }

 private:
  // Whether a value comes from one token, which the backward pass must know.
  bool keeps_places() const { return pooling_ == HeadPooling::kMax; }
  int32_t* places_of(int text) {
    return keeps_places() ? reinterpret_cast<int32_t*>(argmax_.data()) + int64_t{text} * columns() : nullptr;
  }

  TrainableModel& model_;
  const HeadPooling pooling_;
  GrowingBuffer argmax_;  // (texts, V)
  Screen screen_;
  Buffer candidates_;
};

class DenseHead : public Head {
 public:
  DenseHead(TrainableModel& model, DensePooling pooling) : model_(model), pooling_(pooling) {}

  int columns() const override { return model_.config().hidden_size; }
  void begin(int) override {}

  void forward(const RaggedBatch& texts, int, Need, const float* in, float* rows) override {
    const Backend& b = model_.backend();
    b.dense_pool(b.self, {.in = in,
                          .offsets = texts.offsets,
                          .out = rows,
                          .B = texts.B,
                          .T = texts.T,
                          .C = columns(),
                          .normalize = 0,
                          .pooling = pooling_});
  }

  void backward(const RaggedBatch& texts, int, const float*, const float* d_rows, float* d_in) override {
    const Backend& b = model_.backend();
    b.dense_pool_backward(b.self, {.d_out = d_rows,
                                   .offsets = texts.offsets,
                                   .d_in = d_in,
                                   .B = texts.B,
                                   .T = texts.T,
                                   .C = columns(),
                                   .pooling = pooling_});
  }

  size_t bytes() const override { return 0; }

 private:
  TrainableModel& model_;
  const DensePooling pooling_;
};

}  // namespace

std::unique_ptr<Head> make_sparse_head(TrainableModel& model, SparsePooling pooling) {
  return std::make_unique<SparseHead>(model, pooling);
}

std::unique_ptr<Head> make_dense_head(TrainableModel& model, DensePooling pooling) {
  return std::make_unique<DenseHead>(model, pooling);
}

}  // namespace fles
