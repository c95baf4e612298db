// A model small enough to be made for each test: its tensors on disk as load_parameters wants them described.
#pragma once
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "model/parameters.h"
#include "temporary_folder.h"

namespace fles {

struct SmallModel {
  ModelSource source;
  std::vector<uint8_t> bytes;  // of its one file

  // Weights are multiples of 1/8 between -2 and 2, which every storage type holds exactly.
  explicit SmallModel(StorageType type = StorageType::kF32, bool tied = true) {
    source.config = {.vocabulary_size = 11,
                     .hidden_size = 6,
                     .layers = 2,
                     .heads = 3,
                     .intermediate_size = 10,
                     .max_positions = 8,
                     .type_vocabulary_size = 2,
                     .layer_norm_eps = 1e-12f,
                     .activation = Activation::kGelu};
    source.with_head = true;
    const ModelConfig& c = source.config;
    const int64_t C = c.hidden_size, V = c.vocabulary_size, I = c.intermediate_size;
    add("embeddings.word.weight", {V, C}, type);
    add("embeddings.position.weight", {c.max_positions, C}, type);
    add("embeddings.type.weight", {c.type_vocabulary_size, C}, type);
    norm("embeddings.norm", C, type);
    for (int n = 0; n < c.layers; ++n) {
      const std::string layer = "layers." + std::to_string(n);
      for (const char* part : {"query", "key", "value", "output"}) linear(layer + ".attention." + part, C, C, type);
      norm(layer + ".attention.norm", C, type);
      linear(layer + ".feedforward.in", I, C, type);
      linear(layer + ".feedforward.out", C, I, type);
      norm(layer + ".feedforward.norm", C, type);
    }
    linear("head.transform", C, C, type);
    norm("head.norm", C, type);
    if (!tied) add("head.decoder.weight", {V, C}, type);
    add("head.bias", {V}, type);
  }

  // The source with its file written into the folder.
  ModelSource saved(const TemporaryFolder& folder) const {
    ModelSource copy = source;
    copy.files = {folder.write("model.safetensors", bytes)};
    return copy;
  }

  TensorSource& tensor(const std::string& name) {
    for (TensorSource& t : source.tensors) {
      if (t.name == name) return t;
    }
    std::abort();
  }

 private:
  void linear(const std::string& name, int64_t N, int64_t K, StorageType type) {
    add(name + ".weight", {N, K}, type);
    add(name + ".bias", {N}, type);
  }
  void norm(const std::string& name, int64_t C, StorageType type) {
    add(name + ".weight", {C}, type);
    add(name + ".bias", {C}, type);
  }
  void add(const std::string& name, const std::vector<int64_t>& shape, StorageType type) {
    source.tensors.push_back({name, 0, type, bytes.size(), shape});
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    for (int64_t i = 0; i < count; ++i) {
      const float value = static_cast<float>(static_cast<int>(random_() % 33) - 16) / 8.0f;
      uint32_t bits;
      std::memcpy(&bits, &value, 4);
      if (type == StorageType::kF32) {
        for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<uint8_t>(bits >> shift));
        continue;
      }
      uint32_t half = bits >> 16;  // BF16
      if (type == StorageType::kF16) {
        const uint32_t sign = (bits >> 16) & 0x8000U;
        half = value == 0 ? sign : sign | ((((bits >> 23) & 0xFFU) - 112) << 10) | ((bits >> 13) & 0x3FFU);
      }
      bytes.push_back(static_cast<uint8_t>(half)), bytes.push_back(static_cast<uint8_t>(half >> 8));
    }
  }

  std::mt19937 random_{7};
};

}  // namespace fles
