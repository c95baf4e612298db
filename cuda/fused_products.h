// Products with an epilogue, which cuBLASLt computes in one kernel: a plan for each shape, type and epilogue, which is
// made once and kept while it is used. That is host memory alone; the workspace is that of cuBLAS.
#pragma once
#include <list>

#include "owned.h"
#include "product.h"

namespace fles::cuda {

int destroy_matmul(cublas::Matmul matmul);
int destroy_layout(cublas::Layout layout);
int destroy_preference(cublas::Preference preference);

class FusedProducts {
 public:
  // Finds algorithms that take so much workspace and no more; `workspace` begins at a multiple of 256 bytes.
  FusedProducts(cublas::Handle handle, void* workspace, size_t workspace_bytes);

  // Whether it was queued: not, and nothing is done, where cuBLASLt is not there or has no algorithm for it.
  bool multiply(const Product& product, const ProductEpilogue& epilogue, cublas::Compute compute, cudaStream_t stream);

  int64_t asked() const { return asked_; }
  int64_t queued() const { return queued_; }

 private:
  struct Key {
    bool transpose_a, transpose_b;
    int m, n, k, lda, ldb, ldc;
    cublas::Type a_type, b_type, c_type;
    cublas::Compute compute;
    cublas::Epilogue epilogue;
    bool operator==(const Key&) const = default;
  };
  struct Plan {
    Key key;
    Owned<cublas::Matmul, destroy_matmul> matmul;
    Owned<cublas::Layout, destroy_layout> a, b, c;
    cublas::MatmulAlgorithm algorithm;
    bool possible;  // there is an algorithm
  };
  Plan& plan_of(const Key& key);
  Plan make_plan(const Key& key) const;

  cublas::Handle handle_;
  char* workspace_;
  size_t workspace_bytes_;
  Owned<cublas::Preference, destroy_preference> preference_;
  std::list<Plan> plans_;  // the one that was used last first
  int64_t asked_ = 0, queued_ = 0;
};

}  // namespace fles::cuda
