// What makes one row of values of each text from the network's output, and passes the gradients of the rows on: the
// sparse head, a column a term of the vocabulary, or dense pooling, a column a hidden dimension.
#pragma once
#include <cstdint>
#include <memory>

#include "model/encoder.h"
#include "model/screen.h"
#include "train/trainable_model.h"

namespace fles {

// Which values must be right: all, or those above 0 and, from text `first` of the step on, the `largest` largest of
// each text. The others may be anything that is neither above 0 nor among these.
struct Need {
  bool all;
  int largest, first;
};

class Head {
 public:
  virtual ~Head() = default;

  virtual int columns() const = 0;

  // A step of that many texts begins; they come in micro-batches.
  virtual void begin(int texts) = 0;

  // in (T, C) to rows (B, columns); the texts are the `first_text`-th of the step and those behind it.
  virtual void forward(const RaggedBatch& texts, int first_text, Need need, const float* in, float* rows) = 0;

  // Assigns d_in (T, C) and adds to the gradients of the head's parameters. What forward() saw of these texts holds.
  virtual void backward(const RaggedBatch& texts, int first_text, const float* in, const float* d_rows,
                        float* d_in) = 0;

  // Of what it keeps for a step.
  virtual size_t bytes() const = 0;
};

std::unique_ptr<Head> make_sparse_head(TrainableModel& model, SparsePooling pooling);
std::unique_ptr<Head> make_dense_head(TrainableModel& model, DensePooling pooling);

}  // namespace fles
