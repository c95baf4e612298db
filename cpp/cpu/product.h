// A matrix product with packed weights, spread over the pool.
#pragma once
#include "cpu/backend_cpu.h"

namespace fles::cpu {

struct Product {
  const ProductKernels& products;
  const float* in;        // (rows, inner), or its transpose (inner, rows), packed on the way
  int64_t ld;             // from one of its rows to the next
  bool transposed;        // which of the two
  const uint8_t* panels;  // [columns, inner] packed by pack_weight or pack_panel
  int rows, columns, inner;
  const float* bias;      // (columns) or null
  const float* residual;  // (rows, columns) or null, may be `out`
  float* out;             // (rows, columns)
  Activation activation;
};

void multiply(State& state, const Product& p);

}  // namespace fles::cpu
