// Encoder and trainer as wholes on the device that FLES_TEST_DEVICE names, "cpu" where it is not set, against the CPU
// backend. scripts/test-sanitized.mjs runs these tests under sanitizers, and again with bugs planted in the sources.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <latch>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "backend/registry.h"
#include "model/encoder.h"
#include "temporary_folder.h"
#include "train/trainer.h"

namespace fles {
namespace {

using Floats = std::vector<float>;

const std::atomic<bool> kNotCancelled = false;

const ModelConfig kConfig{.vocabulary_size = 83,
                          .hidden_size = 24,
                          .layers = 2,
                          .heads = 2,
                          .intermediate_size = 36,
                          .max_positions = 24,
                          .type_vocabulary_size = 2,
                          .layer_norm_eps = 1e-12f,
                          .activation = Activation::kGelu};

const Backend& device() {
  const char* chosen = std::getenv("FLES_TEST_DEVICE");
  return backend_for(chosen == nullptr || *chosen == '\0' ? "cpu" : chosen);
}

// The CPU gives the same bits every time; another device forms sums in other orders, which Adam enlarges where
// gradients are small.
double tolerance(double of_another_device) { return std::string(device().name) == "cpu" ? 0 : of_another_device; }

// In parts of the norm of what is expected.
void expect_near(const std::string& name, const Floats& actual, const Floats& expected, double allowed) {
  ASSERT_EQ(actual.size(), expected.size()) << name;
  double squares = 0, difference = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    squares += static_cast<double>(expected[i]) * expected[i];
    difference += std::pow(static_cast<double>(actual[i]) - expected[i], 2);
  }
  EXPECT_LE(std::sqrt(difference), allowed * std::sqrt(squares)) << name;
}

// Random weights, in a file as load_parameters wants it described.
ModelSource random_model(const TemporaryFolder& folder) {
  ModelSource source;
  source.config = kConfig;
  source.with_head = true;
  TrainerOptions options;
  options.initialize = Initialize::kAll;
  Trainer trainer(backend_for("cpu"), source, options);
  std::vector<std::string> parts;
  uint64_t offset = 8;  // behind the length of a header that is empty
  for (const TrainableTensor& tensor : trainer.model().tensors()) {
    parts.push_back("weights/" + tensor.name);
    source.tensors.push_back({tensor.name, 0, StorageType::kF32, offset, tensor.shape});
    offset += static_cast<uint64_t>(tensor.count) * sizeof(float);
  }
  source.files = {folder / "model.safetensors"};
  trainer.save(source.files[0], "", parts);
  return source;
}

Texts random_texts(const std::vector<int>& lengths, unsigned seed) {
  std::mt19937 random(seed);
  Texts texts;
  texts.offsets = {0};
  for (const int length : lengths) {
    for (int i = 0; i < length; ++i) texts.tokens.push_back(static_cast<int32_t>(random() % kConfig.vocabulary_size));
    texts.offsets.push_back(texts.offsets.back() + length);
  }
  return texts;
}

// Each larger than the one before, so that what was allocated for that one is replaced.
const std::vector<Texts> kBatches = {random_texts({3}, 1), random_texts({5, 0, 24}, 2),
                                     random_texts({17, 1, 0, 9, 24, 24}, 3)};

Floats spread(const SparseRows& rows) {
  const size_t count = rows.offsets.size() - 1;
  Floats weights(count * kConfig.vocabulary_size, 0.0f);
  for (size_t b = 0; b < count; ++b) {
    for (int64_t i = rows.offsets[b]; i < rows.offsets[b + 1]; ++i) {
      weights[b * kConfig.vocabulary_size + rows.terms[i]] = rows.weights[i];
    }
  }
  return weights;
}

Floats sparse(Encoder& encoder, const Texts& texts, const SparseOptions& options) {
  return spread(encoder.encode_sparse(texts.view(), options, kNotCancelled));
}

TEST(Device, EncodesLikeTheCpu) {
  const TemporaryFolder folder;
  const ModelSource source = random_model(folder);
  Encoder reference(backend_for("cpu"), source), encoder(device(), source);
  const double allowed = tolerance(1e-5);
  for (const Texts& texts : kBatches) {
    for (const SparsePooling pooling :
         {SparsePooling::kMax, SparsePooling::kSum, SparsePooling::kLog1pLog1p, SparsePooling::kSumLog1pLog1p}) {
      const SparseOptions options{.pooling = pooling, .threshold = 0.01f, .top_k = 40, .dropped = {3, 82}};
      expect_near("sparse", sparse(encoder, texts, options), sparse(reference, texts, options), allowed);
    }
    for (const DensePooling pooling : {DensePooling::kMean, DensePooling::kCls}) {
      const DenseOptions options{.pooling = pooling, .normalize = true};
      expect_near("dense", encoder.encode_dense(texts.view(), options, kNotCancelled),
                  reference.encode_dense(texts.view(), options, kNotCancelled), allowed);
    }
  }
}

TEST(Device, EncodesTwoBatchesUnderWay) {
  const TemporaryFolder folder;
  const ModelSource source = random_model(folder);
  Encoder alone(device(), source), encoder(device(), source);
  const SparseOptions options;
  const auto start = [&](const Texts& texts) { return encoder.start_sparse(texts.view(), options, kNotCancelled); };
  std::vector<std::function<SparseRows()>> under_way = {start(kBatches[2])};
  for (size_t next = 0; next < 6; ++next) {
    under_way.push_back(start(kBatches[next % 3]));
    EXPECT_EQ(spread(under_way[next]()), sparse(alone, kBatches[(next + 2) % 3], options)) << "batch " << next;
  }
  // The last is dropped without being collected, which gives back what it took.
  under_way.clear();
  EXPECT_EQ(sparse(encoder, kBatches[1], options), sparse(alone, kBatches[1], options));
}

TEST(Device, EncodesOnSeveralThreads) {
  const TemporaryFolder folder;
  const ModelSource source = random_model(folder);
  Encoder reference(backend_for("cpu"), source), shared(device(), source);
  constexpr int kThreads = 3, kRounds = 4;
  std::vector<Floats> own(kThreads), common(kThreads);
  std::vector<std::thread> threads;
  std::latch ready(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      Encoder encoder(device(), source);
      ready.arrive_and_wait();
      for (int round = 0; round < kRounds; ++round) {
        own[i] = sparse(encoder, kBatches[i], {});
        common[i] = sparse(shared, kBatches[i], {});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < kThreads; ++i) {
    const Floats expected = sparse(reference, kBatches[i], {});
    expect_near("an encoder a thread", own[i], expected, tolerance(1e-5));
    expect_near("one encoder", common[i], expected, tolerance(1e-5));
  }
}

// Three queries with two documents each, and a teacher.
TrainingBatch training_batch() {
  std::mt19937 random(4);
  const auto uniform = [&random] { return static_cast<float>(random() % 1000) / 1000.0f; };
  TrainingBatch batch;
  batch.queries = random_texts({4, 6, 3}, 5);
  batch.documents = random_texts({16, 24, 9, 20, 24, 12}, 6);
  batch.positives = {0, 2, 4};
  batch.owners = {0, 0, 1, 1, 2, 2};
  batch.duplicates = {0, 1, 2, 3, 4, 5};
  for (int i = 0; i < 18; ++i) batch.teacher_scores.push_back(4 * uniform());
  const auto teach = [&](TeacherRows& rows, int texts) {
    rows.offsets = {0};
    for (int b = 0; b < texts; ++b) {
      for (const int32_t first : {0, 40}) {
        rows.terms.push_back(first + static_cast<int32_t>(random() % 40));
        rows.weights.push_back(uniform());
      }
      rows.offsets.push_back(static_cast<int32_t>(rows.terms.size()));
    }
  };
  teach(batch.teacher_queries, 3);
  teach(batch.teacher_documents, 6);
  return batch;
}

ObjectiveSettings every_term() {
  ObjectiveSettings settings;
  settings.weights.fill(0.1);
  settings.weights[static_cast<size_t>(LossTerm::kInfoNce)] = 1;
  settings.flops_documents = {FlopsNorm::kL2, Floats(kConfig.vocabulary_size, 0.5f), 1};
  settings.collapse_k = 4;
  settings.collapse_margin = 1;
  return settings;
}

struct Trained {
  Floats losses;
  std::vector<std::pair<std::string, Floats>> weights;
};

// Twenty steps on queries and documents, then two of masked language modelling.
Trained train(const Backend& backend, const ModelSource& source, DataType type) {
  TrainerOptions options;
  options.seed = 7;
  options.dropout = options.attention_dropout = 0.1f;
  options.product_type = type;
  options.dropped = {3};
  options.micro_batch_tokens = 90;
  options.kept_layers = 1;
  Trainer trainer(backend, source, options);
  const TrainingBatch batch = training_batch();
  const UpdateSettings update{.rate = 1e-3, .weight_decay = 0.01, .clip = 1};
  Trained trained;
  for (int step = 0; step < 20; ++step) {
    const StepReport report = trainer.step(batch, every_term(), update, kNotCancelled);
    trained.losses.push_back(static_cast<float>(report.losses.loss));
  }
  MaskedBatch masked{batch.documents, batch.documents.tokens};
  for (size_t t = 0; t < masked.labels.size(); ++t) masked.labels[t] = t % 3 == 0 ? masked.labels[t] : -1;
  for (int step = 0; step < 2; ++step) {
    trained.losses.push_back(static_cast<float>(trainer.step_masked(masked, update, kNotCancelled).loss));
  }
  for (const TrainableTensor& tensor : trainer.model().tensors()) {
    Floats values(tensor.count);
    backend.download(backend.self, values.data(), trainer.model().weights.data() + tensor.offset,
                     values.size() * sizeof(float));
    trained.weights.emplace_back(tensor.name, values);
  }
  return trained;
}

class DeviceTrains : public testing::TestWithParam<DataType> {};

TEST_P(DeviceTrains, TwentyStepsLikeTheCpu) {
  const DataType type = GetParam();
  const double allowed = tolerance(type == DataType::kBfloat16 ? 2e-2 : 1e-4);
  // Adam moves a weight as far for a small gradient as for a large one, and small ones are rounding in bfloat16.
  const double of_weights = tolerance(type == DataType::kBfloat16 ? 6e-2 : 1e-4);
  const TemporaryFolder folder;
  const ModelSource source = random_model(folder);
  Backend cpu = backend_for("cpu");
  cpu.sixteen_bits = device().sixteen_bits;  // int16 rounds other bits away than bfloat16
  const Trained expected = train(cpu, source, type), actual = train(device(), source, type);
  for (size_t i = 0; i < expected.losses.size(); ++i) {
    EXPECT_LE(std::abs(actual.losses[i] - expected.losses[i]), allowed * std::abs(expected.losses[i])) << "step " << i;
  }
  EXPECT_LT(expected.losses[19], expected.losses[0]);
  for (size_t i = 0; i < expected.weights.size(); ++i) {
    const auto& [name, values] = expected.weights[i];
    if (name.ends_with("key.bias")) continue;  // its gradient is rounding alone
    expect_near(name, actual.weights[i].second, values, of_weights);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, DeviceTrains, testing::Values(DataType::kFloat32, DataType::kBfloat16),
                         [](const auto& info) { return info.param == DataType::kFloat32 ? "float32" : "bfloat16"; });

}  // namespace
}  // namespace fles
