// One CUDA device and what its ops share: a stream, cuBLAS, scratch memory, staging for copies, the offsets of the
// batch.
#pragma once
#include <cstring>
#include <mutex>
#include <vector>

#include "backend/backend.h"
#include "cublas.h"
#include "gpu.h"

namespace fles::cuda {

constexpr int kWarp = 32;
constexpr unsigned kFullWarp = 0xFFFFFFFFU;

// How many `size` there are in `count`, rounded up.
constexpr int blocks_of(int64_t count, int size) { return static_cast<int>((count + size - 1) / size); }

// ERR_CUDA: what was done, CUDA's name and message; ERR_OUT_OF_MEMORY for cudaErrorMemoryAllocation.
void check(cudaError_t error, const char* what);

class Device {
 public:
  explicit Device(int index);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  int index() const { return index_; }
  cudaStream_t stream() const { return stream_; }
  bool tf32() const { return tf32_; }  // whether float32 products may round their operands to TF32
  void make_current() const;           // of the calling thread

  void* allocate(size_t bytes);
  void release(void* memory);
  void upload(void* to, const void* from_host, size_t bytes);
  void download(void* to_host, const void* from, size_t bytes);
  void clear(void* memory, size_t bytes);

  // Row-major C (m, n) = alpha op(A) op(B) + beta C, op(A) (m, k), op(B) (k, n); lda, ldb and ldc are of rows.
  struct Product {
    bool transpose_a = false, transpose_b = false;
    int m, n, k;
    const void* a;
    cublas::Type a_type;
    int lda;
    const void* b;
    cublas::Type b_type;
    int ldb;
    void* c;
    cublas::Type c_type;
    int ldc;
    float beta = 0;
    bool exact = false;  // float32 with every bit, whatever tf32() says
  };
  void multiply(const Product& product);

 private:
  friend class Op;
  void wait();
  // Memory that ops take and leave: it grows to the largest need and is kept.
  void* scratch(size_t bytes);
  void reset_scratch();

  int index_;
  bool tf32_;
  cudaStream_t stream_ = nullptr;
  cublas::Handle blas_ = nullptr;
  void* workspace_ = nullptr;
  std::recursive_mutex one_op_;
  int depth_ = 0;  // of ops that call others

  struct Chunk {
    char* memory;
    size_t bytes;
  };
  std::vector<Chunk> chunks_;  // of scratch: more than one only until the next op
  size_t used_ = 0;            // of the last one

  // Uploads go through two halves of pinned memory in turn, so that one is filled while the other is copied.
  static constexpr size_t kHalf = size_t{4} << 20;
  char* staging_ = nullptr;
  cudaEvent_t copied_[2] = {};
  int half_ = 0;

  std::vector<int32_t> offsets_;  // what is in device_offsets_
  int32_t* device_offsets_ = nullptr;
  size_t offsets_capacity_ = 0;
};

inline Device& device_of(void* self) { return *static_cast<Device*>(self); }

// An op while it is queued: holds the device, names itself in errors, and gives scratch memory that is valid until the
// end of what the op has queued.
//
//   void layernorm(void* self, const LayernormForward& a) {
//     if (a.T == 0) return;
//     Op op(self, "layernorm");
//     op.launch(layernorm_rows, blocks_of(a.T, kRows), kThreads, 0, a.in, a.gamma, ...);
//   }
class Op {
 public:
  Op(void* self, const char* name) : device_(device_of(self)), name_(name), held_(device_.one_op_) {
    device_.make_current();
    if (device_.depth_++ == 0) device_.reset_scratch();
  }
  ~Op() { --device_.depth_; }
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;

  Device& device() const { return device_; }

  // ERR_CUDA. `shared`: bytes of dynamic shared memory.
  template <class... P, class... A>
  void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, A&&... args) const {
    constexpr size_t kWithoutAsking = 48 * 1024;
    if (shared > kWithoutAsking) {
      check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(shared)),
            name_);
    }
    check(gpu::launch(kernel, grid, block, shared, device_.stream_, std::forward<A>(args)...), name_);
  }

  // 256-byte aligned; contents undefined.
  template <class T>
  T* scratch(size_t count) const {
    return static_cast<T*>(device_.scratch(count * sizeof(T)));
  }

  // Host values in scratch memory.
  template <class T>
  T* uploaded(const std::vector<T>& values) const {
    T* memory = scratch<T>(values.size());
    device_.upload(memory, values.data(), values.size() * sizeof(T));
    return memory;
  }

  // The B + 1 offsets of a batch, which ops are given in host memory, on the device: uploaded when they change.
  const int32_t* offsets(const int32_t* host, int B) const;

 private:
  Device& device_;
  const char* name_;
  std::unique_lock<std::recursive_mutex> held_;
};

}  // namespace fles::cuda
