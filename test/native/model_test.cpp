// Loading weights and encoding with them: files that lie, values that are no numbers, batches that do not fit.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "backend/registry.h"
#include "model/encoder.h"
#include "small_model.h"
#include "temporary_folder.h"
#include "thrown.h"

namespace fles {
namespace {

const std::atomic<bool> kNotCancelled = false;

struct Batch {
  std::vector<int32_t> tokens, offsets;
  RaggedBatch view() const {
    return {tokens.data(), offsets.data(), static_cast<int>(offsets.size()) - 1, static_cast<int>(tokens.size())};
  }
};
const Batch kBatch{{1, 4, 9, 2, 0, 10, 3}, {0, 3, 3, 7}};

std::string load_code(const ModelSource& source, std::string* message = nullptr) {
  return thrown_code([&] { (void)load_parameters(backend_for("cpu"), source); }, message);
}

TEST(LoadParameters, ReadsTheSameWeightsFromEveryStorageType) {
  const TemporaryFolder folder;
  SparseRows expected;
  for (const StorageType type : {StorageType::kF32, StorageType::kF16, StorageType::kBF16}) {
    Encoder encoder(backend_for("cpu"), SmallModel(type).saved(folder));
    const SparseRows rows = encoder.encode_sparse(kBatch.view(), {}, kNotCancelled);
    ASSERT_EQ(rows.offsets.size(), 4U);
    EXPECT_EQ(rows.offsets[1], rows.offsets[2]) << "the text without tokens has no terms";
    if (type == StorageType::kF32) expected = rows;
    EXPECT_EQ(rows.terms, expected.terms);
    EXPECT_EQ(rows.weights, expected.weights);
  }
  EXPECT_GT(expected.terms.size(), 0U);
}

TEST(LoadParameters, PacksBfloat16AsTheBackendMultipliesIt) {
  const TemporaryFolder folder;
  ModelSource source = SmallModel().saved(folder);
  source.type = DataType::kBfloat16;
  const Backend& backend = backend_for("cpu");
  const Parameters parameters = load_parameters(backend, source);
  for (const Linear* linear : {&parameters.layers[0].qkv, &parameters.decoder}) {
    EXPECT_EQ(linear->weight.get()->type, backend.sixteen_bits);
  }
}

TEST(LoadParameters, ReadsSubnormalHalves) {
  // 2^-24 and 3 * 2^-16 as the weights of a dense model whose only layer norm passes one of them on as its bias.
  const TemporaryFolder folder;
  SmallModel model(StorageType::kF16);
  model.source.config.layers = 0;
  model.source.with_head = false;
  const uint64_t bias = model.tensor("embeddings.norm.bias").offset,
                 gamma = model.tensor("embeddings.norm.weight").offset;
  for (int i = 0; i < 12; ++i) model.bytes[gamma + i] = 0;
  const uint16_t halves[6] = {0x0001, 0x0300, 0x8001, 0x03FF, 0x0400, 0x7BFF};
  std::memcpy(model.bytes.data() + bias, halves, sizeof halves);
  Encoder encoder(backend_for("cpu"), model.saved(folder));
  const std::vector<float> out = encoder.encode_dense(Batch{{5}, {0, 1}}.view(), {}, kNotCancelled);
  const float expected[6] = {std::ldexp(1.0f, -24),    std::ldexp(3.0f, -16), -std::ldexp(1.0f, -24),
                             std::ldexp(1023.0f, -24), std::ldexp(1.0f, -14), 65504.0f};
  for (int i = 0; i < 6; ++i) EXPECT_EQ(out[i], expected[i]) << i;
}

TEST(LoadParameters, UsesADecoderOfItsOwnWhereThereIsOne) {
  const TemporaryFolder folder;
  SmallModel untied(StorageType::kF32, false);
  Encoder first(backend_for("cpu"), untied.saved(folder));
  const SparseRows own = first.encode_sparse(kBatch.view(), {}, kNotCancelled);
  std::erase_if(untied.source.tensors, [](const TensorSource& t) { return t.name == "head.decoder.weight"; });
  Encoder second(backend_for("cpu"), untied.saved(folder));
  EXPECT_NE(second.encode_sparse(kBatch.view(), {}, kNotCancelled).weights, own.weights);
}

TEST(LoadParameters, RefusesAFileThatEndsBeforeATensorDoes) {
  const TemporaryFolder folder;
  const SmallModel model;
  for (size_t i = 0; i < model.source.tensors.size(); ++i) {
    ModelSource source = model.saved(folder);
    source.tensors[i].offset = model.bytes.size() - 1;
    std::string message;
    EXPECT_EQ(load_code(source, &message), "ERR_FILE_TRUNCATED") << source.tensors[i].name;
    EXPECT_NE(message.find(source.tensors[i].name), std::string::npos) << message;
    source.tensors[i].offset = UINT64_MAX - 3;
    EXPECT_EQ(load_code(source), "ERR_FILE_TRUNCATED") << source.tensors[i].name;
  }
}

TEST(LoadParameters, RefusesAModelWithoutOneOfItsTensors) {
  const TemporaryFolder folder;
  const SmallModel model;
  for (size_t i = 0; i < model.source.tensors.size(); ++i) {
    ModelSource source = model.saved(folder);
    const std::string name = source.tensors[i].name;
    source.tensors.erase(source.tensors.begin() + static_cast<std::ptrdiff_t>(i));
    std::string message;
    EXPECT_EQ(load_code(source, &message), "ERR_TENSOR_MISSING") << name;
    EXPECT_NE(message.find(name), std::string::npos) << message;
  }
}

TEST(LoadParameters, RefusesATensorOfAnotherShape) {
  const TemporaryFolder folder;
  const SmallModel model;
  for (size_t i = 0; i < model.source.tensors.size(); ++i) {
    const std::vector<int64_t> shape = model.source.tensors[i].shape;
    std::vector<std::vector<int64_t>> wrong = {{}, {0}, {-1}, {INT64_MAX, INT64_MAX}, shape};
    wrong.back()[0] -= 1;
    wrong.push_back(shape);
    wrong.back().push_back(1);
    for (const auto& other : wrong) {
      ModelSource source = model.saved(folder);
      source.tensors[i].shape = other;
      EXPECT_EQ(load_code(source), "ERR_TENSOR_SHAPE") << source.tensors[i].name;
    }
  }
}

TEST(LoadParameters, RefusesNaNAndInfinity) {
  const TemporaryFolder folder;
  for (const StorageType type : {StorageType::kF32, StorageType::kF16, StorageType::kBF16}) {
    const SmallModel model(type);
    const int width = type == StorageType::kF32 ? 4 : 2;
    const uint16_t infinity = type == StorageType::kF16 ? 0x7C00 : 0x7F80;
    for (const uint16_t high : {infinity, static_cast<uint16_t>(infinity | 0x0040), static_cast<uint16_t>(0xFFFF)}) {
      for (const TensorSource& tensor : model.source.tensors) {
        SmallModel broken = model;
        // The first value: of the token types only the first row is used.
        std::memcpy(broken.bytes.data() + tensor.offset + width - 2, &high, 2);
        std::string message;
        EXPECT_EQ(load_code(broken.saved(folder), &message), "ERR_WEIGHT_NOT_FINITE") << tensor.name;
        EXPECT_NE(message.find(tensor.name), std::string::npos) << message;
      }
    }
  }
}

TEST(LoadParameters, RefusesAConfigOutOfRange) {
  const TemporaryFolder folder;
  const auto with = [&](int ModelConfig::* field, int value) {
    ModelSource source = SmallModel().saved(folder);
    source.config.*field = value;
    return load_code(source);
  };
  for (const int value : {0, -1, std::numeric_limits<int>::max(), std::numeric_limits<int>::min()}) {
    EXPECT_EQ(with(&ModelConfig::vocabulary_size, value), "ERR_CONFIG_VALUE");
    EXPECT_EQ(with(&ModelConfig::hidden_size, value), "ERR_CONFIG_VALUE");
    EXPECT_EQ(with(&ModelConfig::heads, value), "ERR_CONFIG_VALUE");
    EXPECT_EQ(with(&ModelConfig::intermediate_size, value), "ERR_CONFIG_VALUE");
    EXPECT_EQ(with(&ModelConfig::max_positions, value), "ERR_CONFIG_VALUE");
  }
  EXPECT_EQ(with(&ModelConfig::layers, -1), "ERR_CONFIG_VALUE");
  EXPECT_EQ(with(&ModelConfig::heads, 4), "ERR_CONFIG_VALUE") << "6 dimensions over 4 heads";
  EXPECT_EQ(with(&ModelConfig::layers, 3), "ERR_TENSOR_MISSING");
  EXPECT_EQ(with(&ModelConfig::vocabulary_size, 12), "ERR_TENSOR_SHAPE");
}

TEST(LoadParameters, RefusesFilesThatAreNotThere) {
  const TemporaryFolder folder;
  ModelSource source = SmallModel().saved(folder);
  source.tensors[3].file = 1;
  EXPECT_EQ(load_code(source), "ERR_TENSOR_MISSING");
  source.tensors[3].file = -1;
  EXPECT_EQ(load_code(source), "ERR_TENSOR_MISSING");
  source.files = {folder / "absent"};
  EXPECT_EQ(load_code(source), "ERR_FILE_NOT_FOUND");
  source.files.clear();
  EXPECT_EQ(load_code(source), "ERR_TENSOR_MISSING");
}

// A number that is likely to hurt.
int64_t nasty(std::mt19937& random) {
  const int64_t values[] = {0, 1, -1, 2, 3, 7, 64, 1 << 16, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
  return values[random() % std::size(values)];
}

void mutate(ModelSource& source, std::vector<uint8_t>& bytes, std::mt19937& random) {
  TensorSource& tensor = source.tensors[random() % source.tensors.size()];
  switch (random() % 8) {
    case 0:
      tensor.offset = random() % 2 == 0 ? static_cast<uint64_t>(nasty(random)) : random() % (bytes.size() + 8);
      break;
    case 1:
      if (!tensor.shape.empty()) tensor.shape[random() % tensor.shape.size()] = nasty(random);
      break;
    case 2:
      tensor.type = static_cast<StorageType>(random() % 3);
      break;
    case 3:
      tensor.file = static_cast<int>(nasty(random));
      break;
    case 4:
      tensor.name = source.tensors[random() % source.tensors.size()].name;
      break;
    case 5:
      bytes.resize(random() % (bytes.size() + 1));
      break;
    case 6: {
      int ModelConfig::* const fields[] = {&ModelConfig::vocabulary_size,
                                           &ModelConfig::hidden_size,
                                           &ModelConfig::layers,
                                           &ModelConfig::heads,
                                           &ModelConfig::intermediate_size,
                                           &ModelConfig::max_positions,
                                           &ModelConfig::type_vocabulary_size};
      source.config.*fields[random() % std::size(fields)] = static_cast<int>(nasty(random));
      break;
    }
    default:
      for (int i = 0; i < 20 && !bytes.empty(); ++i) bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
  }
}

TEST(LoadParameters, LoadsOrRefusesAnyDescriptionOfAFile) {
  // Seeds 0..: a failure names the one to run again. AddressSanitizer sees what the codes do not.
  const TemporaryFolder folder;
  int loaded = 0, refused = 0;
  for (uint32_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    SmallModel model(static_cast<StorageType>(random() % 3), random() % 2 == 0);
    for (uint32_t i = random() % 3; i < 3; ++i) mutate(model.source, model.bytes, random);
    const std::string code = thrown_code([&] {
      Encoder encoder(backend_for("cpu"), model.saved(folder));
      const SparseRows rows = encoder.encode_sparse(kBatch.view(), {}, kNotCancelled);
      EXPECT_EQ(rows.offsets.size(), 4U);
      ++loaded;
    });
    if (!code.empty()) ++refused;
  }
  EXPECT_GT(loaded, 20);
  EXPECT_GT(refused, 200);
}

TEST(Encoder, RefusesBatchesThatDoNotFitTheModel) {
  const TemporaryFolder folder;
  Encoder encoder(backend_for("cpu"), SmallModel().saved(folder));
  const auto code = [&](const Batch& batch) {
    const std::string sparse = thrown_code([&] { (void)encoder.encode_sparse(batch.view(), {}, kNotCancelled); });
    const std::string dense = thrown_code([&] { (void)encoder.encode_dense(batch.view(), {}, kNotCancelled); });
    EXPECT_EQ(sparse, dense);
    return sparse;
  };
  EXPECT_EQ(code(kBatch), "");
  EXPECT_EQ(code({{}, {0}}), "") << "no text";
  EXPECT_EQ(code({{}, {0, 0, 0}}), "") << "texts without tokens";
  EXPECT_EQ(code({{0, 11}, {0, 2}}), "ERR_TOKEN_RANGE");
  EXPECT_EQ(code({{-1}, {0, 1}}), "ERR_TOKEN_RANGE");
  EXPECT_EQ(code({std::vector<int32_t>(9), {0, 9}}), "ERR_LENGTH_RANGE") << "9 tokens of 8 positions";
  EXPECT_EQ(code({{1, 2}, {1, 2}}), "ERR_BATCH_OFFSETS");
  EXPECT_EQ(code({{1, 2}, {0, 1}}), "ERR_BATCH_OFFSETS");
  EXPECT_EQ(code({{1, 2}, {0, 2, 1, 2}}), "ERR_LENGTH_RANGE") << "offsets that go back";
  EXPECT_EQ(code({{1, 2}, {0, 5, 2}}), "ERR_LENGTH_RANGE") << "offsets beyond the tokens";
}

TEST(Encoder, StopsWhenItIsCancelled) {
  const TemporaryFolder folder;
  Encoder encoder(backend_for("cpu"), SmallModel().saved(folder));
  const std::atomic<bool> cancelled = true;
  EXPECT_EQ(thrown_code([&] { (void)encoder.encode_sparse(kBatch.view(), {}, cancelled); }), "ERR_ABORTED");
  EXPECT_EQ(thrown_code([&] { (void)encoder.encode_dense(kBatch.view(), {}, cancelled); }), "ERR_ABORTED");
  EXPECT_EQ(encoder.encode_sparse(kBatch.view(), {}, kNotCancelled).offsets.size(), 4U);
}

TEST(Encoder, RefusesSparseVectorsOfAModelWithoutAHead) {
  const TemporaryFolder folder;
  ModelSource source = SmallModel().saved(folder);
  source.with_head = false;
  Encoder encoder(backend_for("cpu"), source);
  EXPECT_EQ(thrown_code([&] { (void)encoder.encode_sparse(kBatch.view(), {}, kNotCancelled); }), "ERR_MODEL_HEAD");
  EXPECT_EQ(encoder.encode_dense(kBatch.view(), {}, kNotCancelled).size(), 18U);
}

TEST(Registry, KnowsTheCpuAndSaysWhyAnotherDeviceIsAbsent) {
  EXPECT_STREQ(backend_for("auto").name, "cpu");
  std::string message;
  EXPECT_EQ(thrown_code([&] { (void)backend_for("tpu"); }, &message), "ERR_OPTION_VALUE");
  EXPECT_NE(message.find("tpu"), std::string::npos);
  for (const BackendStatus& status : backend_statuses()) EXPECT_EQ(status.available, status.reason.empty());
}

}  // namespace
}  // namespace fles
