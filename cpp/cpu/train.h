// The inner loops of the element-wise training ops, a part of the table of kernels. Arrays may be anywhere and of any
// length; the arithmetic of an element does not depend on where it stands.
#pragma once
#include <cstdint>

#include "ops/adamw.h"
#include "ops/random.h"

namespace fles::cpu {

// out = residual + mask * in of consecutive elements of one text, the first of which has this index.
struct DropoutValues {
  const float *in, *residual;  // residual may be null
  float* out;
  int64_t count;
  Dropout dropout;
  uint64_t index;
};

// One row of ops/layernorm_backward.h; d_gamma and d_beta are added to.
struct LayernormGradients {
  const float *d_out, *in, *gamma;
  float *d_in, *d_gamma, *d_beta;
  int C;
  float eps;
};

struct TrainKernels {
  void (*dropout)(const DropoutValues&);
  void (*layernorm_gradients)(const LayernormGradients&);
  void (*activations)(const float* in, float* out, int64_t count, int activation);
  void (*activation_gradients)(const float* in, const float* d_out, float* d_in, int64_t count, int activation);
  // sum (C) += the `count` rows of `rows` (.., ld) that `chosen` names, in its order; null: the first ones.
  void (*add_chosen)(const float* rows, int64_t ld, const int32_t* chosen, int64_t count, float* sum, int C);
  void (*adamw)(const AdamwUpdate&);
  double (*squares)(const float* in, int64_t count);
};

}  // namespace fles::cpu
