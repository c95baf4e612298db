// Whether the int8 screen of the sparse head (ops/sparse_head.h) is worth its time: one that lets more than a tenth of
// the terms pass is left out for the next 64 batches. Results are the same with and without it.
#pragma once
#include <cstdint>

namespace fles {

class Screen {
 public:
  // Of the next batch.
  bool wanted() {
    if (left_out_ == 0) return true;
    --left_out_;
    return false;
  }
  // How many of the B V terms a screened batch had to compute.
  void seen(int64_t candidates, int64_t terms) {
    if (candidates * 10 > terms) left_out_ = kBatches;
  }

 private:
  static constexpr int kBatches = 64;
  int left_out_ = 0;
};

}  // namespace fles
