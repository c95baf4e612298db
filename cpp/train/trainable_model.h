// The weights of a model with their gradients and Adam's moments, float32, each of the four in one arena with the same
// layout: tensors that decay first, then biases and LayerNorms, so that AdamW is two calls and a norm is one.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "model/parameters.h"

namespace fles {

struct TrainableTensor {
  std::string name;  // canonical, as in docs/models.md
  std::vector<int64_t> shape;
  int64_t offset;  // of its first value in each arena
  int64_t count;
  bool decays;
};

// One tensor's place in the arenas of weights and of gradients.
struct Trainable {
  float* value = nullptr;
  float* gradient = nullptr;
};

// A packed matrix that several matrices of one shape take in turns: packing costs little beside a product, and one for
// every matrix would be as large as the weights themselves.
struct PackedSlot {
  std::shared_ptr<PackedMatrix> matrix;
  const float* holds = nullptr;  // the rows that it was packed from; null after an update
};

struct TrainableLinear {
  Trainable weight, bias;
  int N = 0, K = 0;
  std::shared_ptr<PackedSlot> slot;
};

struct TrainableNorm {
  Trainable gamma, beta;
};

struct TrainableLayer {
  TrainableLinear qkv, attention_out;  // qkv: query, key and value rows in one [3C, C]
  TrainableNorm attention_norm;
  TrainableLinear feedforward_in, feedforward_out;
  TrainableNorm feedforward_norm;
};

// Which tensors may be absent from the source: they begin at random, matrices from a normal distribution of deviation
// 0.02 (Devlin et al. 2018, arXiv:1810.04805), biases at 0, LayerNorms at 1.
enum class Initialize : int32_t { kNone, kHead, kAll };

class TrainableModel {
 public:
  // The errors of load_parameters.
  TrainableModel(const Backend& backend, const ModelSource& source, DataType asked, Initialize initialize, int seed);

  const Backend& backend() const { return backend_; }
  const ModelConfig& config() const { return config_; }
  DataType product_type() const { return product_type_; }
  const std::vector<TrainableTensor>& tensors() const { return tensors_; }
  const TrainableTensor& tensor(const std::string& name) const;  // ERR_TENSOR_MISSING

  Buffer weights, gradients, first, second;
  int64_t count() const { return count_; }              // values of each arena, padding (always 0) included
  int64_t decaying_count() const { return decaying_; }  // those at the front that decay
  size_t bytes() const;
  bool has_head() const { return has_head_; }  // of masked language modelling

  // The layer's weight as products read it; valid until another of the same shape is asked for.
  const PackedMatrix* packed(const TrainableLinear& layer) { return packed(*layer.slot, layer); }
  // The decoder in int8, for the screen of the head; null where the backend has no use for it.
  const PackedMatrix* screen() { return screen_ == nullptr ? nullptr : packed(*screen_, decoder); }
  // To be called when weights have changed.
  void forget_packed();

  // Reads weights, first and second moments, named `weights/NAME` and so on. Nothing changes unless all of it is good.
  void load_state(const std::vector<std::string>& files, const std::vector<TensorSource>& sources);

  Trainable word, position, type;  // type: null without token types
  TrainableNorm embedding_norm;
  std::vector<TrainableLayer> layers;
  // The head, where there is one; the decoder's weight is `word` unless the source has one of its own.
  TrainableLinear transform, decoder;
  TrainableNorm head_norm;

 private:
  class Layout;
  std::shared_ptr<PackedSlot> slot(int N, int K, DataType type);
  const PackedMatrix* packed(PackedSlot& slot, const TrainableLinear& layer);

  const Backend& backend_;
  ModelConfig config_;
  DataType product_type_;
  bool has_head_;
  std::vector<TrainableTensor> tensors_;
  int64_t count_ = 0, decaying_ = 0;
  std::vector<std::shared_ptr<PackedSlot>> slots_;
  std::shared_ptr<PackedSlot> screen_;  // or null
  size_t packed_bytes_ = 0;
};

}  // namespace fles
