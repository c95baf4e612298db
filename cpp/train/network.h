// The network's passes in training: forward with what the backward pass needs, and backward.
//
// Kept of every layer: the sum that its last LayerNorm reads, (T, C). Kept of the layers that keep their activations:
// queries, keys and values, the context, the sum that the first LayerNorm reads, and what goes into the activation
// function, 3C + C + C + I floats a token. What follows from these by element-wise work is computed again; layers that
// keep nothing compute all of it again, with the same bits.
//
// All of it is one piece of memory, for rounding every array up to large pages would add up, and an array takes another
// role once its first is over: the backward pass goes on in what the head has left.
#pragma once
#include <atomic>
#include <cstdint>
#include <vector>

#include "model/bert_forward.h"
#include "train/trainable_model.h"

namespace fles {

struct NetworkOptions {
  float dropout = 0, attention_dropout = 0;
  int seed = 0;
  int kept_layers = 0;  // the last ones
};

// Texts that go through the network together, in host memory, with the number by which each draws its dropout masks.
struct MicroBatch {
  RaggedBatch texts;
  const int32_t* text_ids;
};

class Network {
 public:
  Network(TrainableModel& model, const NetworkOptions& options);

  // Masks differ from step to step.
  void begin_step(int64_t step) { step_ = step; }

  // Leaves the head's input in output(). With `keep`, backward() may follow, once.
  void forward(const MicroBatch& batch, bool keep, const std::atomic<bool>& cancelled);

  // (T, C), and the place for its gradient: the input of the vocabulary projection, or the last hidden states of a
  // model without a head.
  const float* output() const { return model_.has_head() ? transformed_ : hidden_; }
  float* gradient() { return gradient_; }

  // From the gradient of output() to those of all parameters below it. Overwrites output() and gradient().
  void backward(const MicroBatch& batch, const std::atomic<bool>& cancelled);

  size_t bytes() const { return tokens_.bytes() + text_ids_.bytes() + memory_.bytes(); }

 private:
  // Activations of one layer, each (T, ...).
  struct Layer {
    float *qkv, *log_sums, *context, *attention_sum, *feedforward;
  };
  struct Pass;  // one micro-batch on its way

  void reserve(int B, int T);
  int64_t arrange(float* memory, int T);
  int64_t wide() const;  // columns of what a layer computes at most
  bool keeps(int layer) const { return layer >= static_cast<int>(kept_.size()) - options_.kept_layers; }
  // Seed of the masks of one site: 0 the embeddings; 1, 2 and 3 + 3 layer attention, its output, the feed-forward
  // output.
  int site_seed(int site) const;

  TrainableModel& model_;
  NetworkOptions options_;
  int64_t step_ = 0;
  GrowingBuffer tokens_, text_ids_, memory_;
  int capacity_ = 0;                                                        // tokens that `memory_` is arranged for
  float *hidden_ = nullptr, *transformed_ = nullptr, *gradient_ = nullptr;  // (T, C)
  float* wide_ = nullptr;      // (T, max(I, 3C)): what a layer computes, then its gradient
  float* head_sum_ = nullptr;  // (T, C): what the transform's activation function reads
  std::vector<float*> sums_;   // layers + 1, (T, C): what the LayerNorm before each layer reads, and the last
  std::vector<Layer> kept_;
  Layer shared_ = {};  // of the layers that keep nothing, in turn
};

}  // namespace fles
