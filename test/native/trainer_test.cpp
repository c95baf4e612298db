// Training steps on a small model: every pooling and kind of query, with dropout, micro-batches and layers computed
// again. AddressSanitizer sees what the tests of test/train, which compare with PyTorch, do not.
#include "train/trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "backend/registry.h"
#include "small_model.h"
#include "temporary_folder.h"
#include "thrown.h"

namespace fles {
namespace {

const std::atomic<bool> kNotCancelled = false;

// Two queries with two documents each, of the small model's 11 terms and 8 positions.
TrainingBatch small_batch() {
  TrainingBatch batch;
  batch.queries = {{1, 4, 9, 2}, {0, 1, 4}};
  batch.documents = {{2, 0, 10, 3, 5, 5, 1, 7, 8, 6, 2}, {0, 4, 5, 9, 11}};
  batch.positives = {0, 2};
  batch.owners = {0, 0, 1, 1};
  batch.duplicates = {0, 1, 2, 1};
  batch.teacher_scores = {3, 1, 2, 1, -1, 0, 4, 0};
  batch.teacher_queries = {{0, 2, 2}, {3, 9}, {1, 0.5f}};
  batch.teacher_documents = {{0, 1, 3, 3, 4}, {0, 2, 10, 5}, {1, 2, 0.25f, 1}};
  return batch;
}

ObjectiveSettings every_term() {
  ObjectiveSettings settings;
  settings.weights.fill(0.1);
  settings.flops_documents = {FlopsNorm::kL2, std::vector<float>(11, 0.5f), 1};
  settings.collapse_k = 4;
  settings.collapse_margin = 5;
  return settings;
}

const UpdateSettings kUpdate{.rate = 1e-3, .weight_decay = 0.01, .clip = 1};

class TrainerTest : public testing::TestWithParam<std::tuple<SparsePooling, bool, bool>> {};

TEST_P(TrainerTest, StepsWithoutTouchingWhatIsNotItsOwn) {
  const auto [pooling, bag, tied] = GetParam();
  const TemporaryFolder folder;
  TrainerOptions options;
  options.pooling = pooling;
  options.bag_queries = bag;
  options.dropout = options.attention_dropout = 0.2f;
  options.dropped = {2};
  options.bag_dropped = {1};
  options.micro_batch_tokens = 6;
  options.kept_layers = 1;
  Trainer trainer(backend_for("cpu"), SmallModel(StorageType::kF32, tied).saved(folder), options);
  for (int step = 1; step <= 3; ++step) {
    const StepReport report = trainer.step(small_batch(), every_term(), kUpdate, kNotCancelled);
    EXPECT_EQ(report.update.steps, step);
    EXPECT_GT(report.update.gradient_norm, 0);
    EXPECT_GT(report.losses.document_terms, 0);
  }
  MaskedBatch masked{small_batch().documents, std::vector<int32_t>(11, -1)};
  masked.labels[0] = 3, masked.labels[5] = 10, masked.labels[10] = 0;
  const MaskedReport report = trainer.step_masked(masked, kUpdate, kNotCancelled);
  EXPECT_EQ(report.predictions, 3);
  EXPECT_EQ(report.update.steps, 4);
}

INSTANTIATE_TEST_SUITE_P(Poolings, TrainerTest,
                         testing::Combine(testing::Values(SparsePooling::kMax, SparsePooling::kSum,
                                                          SparsePooling::kLog1pLog1p, SparsePooling::kSumLog1pLog1p),
                                          testing::Bool(), testing::Bool()));

TEST(Trainer, AsksTheBackendForNoMemoryOnceItHasMadeAStep) {
  static std::atomic<int> asked;
  static const Backend* cpu = &backend_for("cpu");
  Backend counting = *cpu;
  counting.allocate = [](void* self, size_t bytes) {
    ++asked;
    return cpu->allocate(self, bytes);
  };
  const TemporaryFolder folder;
  TrainerOptions options;
  options.dropout = options.attention_dropout = 0.2f;
  options.micro_batch_tokens = 6;
  options.kept_layers = 1;
  Trainer trainer(counting, SmallModel().saved(folder), options);
  const MaskedBatch masked{small_batch().documents, std::vector<int32_t>(11, 4)};
  const auto steps = [&] {
    trainer.step(small_batch(), every_term(), kUpdate, kNotCancelled);
    trainer.step_masked(masked, kUpdate, kNotCancelled);
  };
  steps();
  const int before = asked;
  EXPECT_GT(before, 20);
  const size_t bytes = trainer.bytes();
  for (int i = 0; i < 3; ++i) steps();
  EXPECT_EQ(asked, before);
  EXPECT_EQ(trainer.bytes(), bytes);
}

// Of a backend, packed weights left out.
struct Memory {
  size_t held = 0, most = 0;
  std::map<void*, size_t> blocks;
};

TEST(Trainer, HoldsTheMemoryThatItReports) {
  static Memory memory;
  static const Backend* cpu = &backend_for("cpu");
  Backend counting = *cpu;
  counting.allocate = [](void* self, size_t bytes) {
    void* block = cpu->allocate(self, bytes);
    memory.blocks[block] = bytes;
    memory.held += bytes;
    memory.most = std::max(memory.most, memory.held);
    return block;
  };
  counting.release = [](void* self, void* block) {
    memory.held -= memory.blocks[block];
    memory.blocks.erase(block);
    cpu->release(self, block);
  };
  const TemporaryFolder folder;
  const ModelSource source = SmallModel().saved(folder);
  // Bytes of a step beside the model: those asked for, and those of the activations and the head by its report.
  const auto step = [&](int micro_batch_tokens) {
    memory = {};
    TrainerOptions options;
    options.micro_batch_tokens = micro_batch_tokens;
    options.kept_layers = 100;
    Trainer trainer(counting, source, options);
    const size_t before = memory.held, reported = trainer.bytes();
    const StepReport report = trainer.step(small_batch(), every_term(), kUpdate, kNotCancelled);
    EXPECT_EQ(memory.most, memory.held);
    EXPECT_EQ(report.update.bytes, trainer.bytes());
    return std::pair{memory.most - before, report.update.bytes - reported};
  };
  constexpr size_t kMatrix = 6 * 11 * sizeof(float);
  // What two layers keep of a token, three sums, four hidden states, what a layer computes, and the token; 18 arrays at
  // cache lines, and the numbers of 6 texts.
  const auto activations = [](size_t tokens) {
    constexpr size_t C = 6, I = 10, H = 3;
    return (tokens * (2 * (5 * C + H + I) + 3 * C + 4 * C + 3 * C + 1) + 18 * 15 + 6) * sizeof(float);
  };
  for (const auto& [micro_batch_tokens, tokens] : {std::pair{100, 15}, std::pair{5, 5}}) {
    SCOPED_TRACE(micro_batch_tokens);
    const auto [asked, reported] = step(micro_batch_tokens);
    // Of the matrices of texts and terms only gradients of pooled values and argmax; passes that keep nothing need no
    // more than those that do.
    EXPECT_LE(reported, activations(tokens) + 2 * kMatrix);
    // What is not reported is a few rows.
    EXPECT_LE(reported, asked);
    EXPECT_LT(asked, reported + 10 * kMatrix);
  }
}

TEST(Trainer, TakesMemoryBesideTheGradientsForTheLossesOfManyTexts) {
  TrainingBatch batch = small_batch();
  batch.teacher_scores.clear(), batch.teacher_queries = {}, batch.teacher_documents = {};
  const Texts documents = batch.documents;
  for (int copy = 1; copy < 10; ++copy) {
    const auto shift = static_cast<int32_t>(batch.documents.tokens.size());
    batch.documents.tokens.insert(batch.documents.tokens.end(), documents.tokens.begin(), documents.tokens.end());
    for (int d = 1; d <= 4; ++d) batch.documents.offsets.push_back(shift + documents.offsets[d]);
    for (const int owner : {0, 0, 1, 1}) batch.owners.push_back(owner);
    for (const int first : {0, 1, 2, 1}) batch.duplicates.push_back(first);
  }
  ObjectiveSettings settings;
  settings.weights[static_cast<size_t>(LossTerm::kInfoNce)] = 1;
  settings.weights[static_cast<size_t>(LossTerm::kFlopsDocuments)] = 0.1;
  const TemporaryFolder folder;
  Trainer trainer(backend_for("cpu"), SmallModel().saved(folder), {});
  const StepReport report = trainer.step(batch, settings, kUpdate, kNotCancelled);
  EXPECT_GT(report.update.gradient_norm, 0);
  EXPECT_EQ(report.losses.head_bytes, 5 * 42 * 11 * sizeof(float));
}

TEST(Trainer, RefusesModelsThatItCannotIndex) {
  ModelSource source;
  source.config = {.vocabulary_size = 1 << 24,
                   .hidden_size = 1024,
                   .layers = 1,
                   .heads = 1,
                   .intermediate_size = 1,
                   .max_positions = 2,
                   .type_vocabulary_size = 0};
  TrainerOptions options;
  options.initialize = Initialize::kAll;
  EXPECT_EQ(thrown_code([&] { const Trainer trainer(backend_for("cpu"), source, options); }), "ERR_MODEL_SIZE");
}

}  // namespace
}  // namespace fles
