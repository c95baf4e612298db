// The weights of an encoder on one backend, read once from memory-mapped safetensors files.
//
// The files are described by lib/model (names, types, offsets, shapes); every range is checked against the file again
// here, every value is checked to be finite, and nothing stays mapped after loading.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "model/tensor_files.h"

namespace fles {

struct ModelConfig {
  int vocabulary_size = 0, hidden_size = 0, layers = 0, heads = 0, intermediate_size = 0, max_positions = 0;
  int type_vocabulary_size = 0;  // 0: no token types (DistilBERT)
  float layer_norm_eps = 1e-12f;
  Activation activation = Activation::kGelu;
};

struct ModelSource {
  ModelConfig config;
  std::vector<std::string> files;
  std::vector<TensorSource> tensors;
  DataType type = DataType::kFloat32;  // of the matrix products
  bool with_head = false;              // load the masked-language-model head
};

// Memory of a backend, freed with it.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Backend& backend, size_t floats);
  const float* data() const { return memory_.get(); }
  float* data() { return memory_.get(); }
  explicit operator bool() const { return memory_ != nullptr; }

 private:
  std::shared_ptr<float> memory_;
};

// Memory that grows to the largest request and is kept, so that a steady state allocates nothing. What it held is lost
// when it grows.
class GrowingBuffer {
 public:
  float* reserve(const Backend& backend, size_t floats) {
    if (floats > floats_) {
      floats_ = 0;
      buffer_ = Buffer();  // goes first, so that the peak is the new size alone
      buffer_ = Buffer(backend, floats);
      floats_ = floats;
    }
    return data();
  }
  float* data() { return buffer_.data(); }
  size_t bytes() const { return floats_ * sizeof(float); }

 private:
  Buffer buffer_;
  size_t floats_ = 0;
};

struct Linear {
  std::shared_ptr<PackedMatrix> weight;
  Buffer bias;
};

struct Norm {
  Buffer gamma, beta;
};

struct LayerParameters {
  Linear qkv, attention_out;  // qkv: query, key and value rows in one [3C, C]
  Norm attention_norm;
  Linear feedforward_in, feedforward_out;
  Norm feedforward_norm;
};

struct Parameters {
  ModelConfig config;
  Buffer word, position, type;
  Norm embedding_norm;
  std::vector<LayerParameters> layers;
  // Head, when loaded. The decoder is the word embeddings unless the model stores one of its own.
  Linear transform, decoder;
  std::shared_ptr<PackedMatrix> screen;  // the decoder in int8, where the backend screens and that is not its type
  Norm head_norm;
  size_t bytes = 0;  // of memory that the weights take
};

// Sizes within what the core can index, heads that divide the hidden size: ERR_CONFIG_VALUE.
void check_config(const ModelConfig& config);

// ERR_TENSOR_MISSING, ERR_TENSOR_SHAPE, ERR_FILE_TRUNCATED, ERR_WEIGHT_NOT_FINITE, each naming file and tensor.
Parameters load_parameters(const Backend& backend, const ModelSource& source);

}  // namespace fles
