// One CUDA device and what its ops share: a stream, cuBLAS and cuBLASLt, scratch memory, staging for copies, values of
// the batch that several ops read. Downloads have a stream of their own, so that one need not wait for all that is
// queued.
#pragma once
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "fused_products.h"
#include "gpu.h"

namespace fles::cuda {

constexpr int kWarp = 32;
constexpr unsigned kFullWarp = 0xFFFFFFFFU;

// How many `size` there are in `count`, rounded up.
constexpr int blocks_of(int64_t count, int size) { return static_cast<int>((count + size - 1) / size); }

// ERR_CUDA: what was done, CUDA's name and message; ERR_OUT_OF_MEMORY for cudaErrorMemoryAllocation.
void check(cudaError_t error, const char* what);

// The same for a status of cuBLAS or cuBLASLt.
void check_blas(int status, const char* what);

int destroy_blas(cublas::Handle handle);

class Device {
 public:
  explicit Device(int index);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  int index() const { return index_; }
  cudaStream_t stream() const { return stream_.get(); }
  bool tf32() const { return tf32_; }  // whether float32 products may round their operands to TF32
  void make_current() const;           // of the calling thread
  // ERR_DEVICE_LIMIT where a block cannot have so much shared memory.
  void require_shared(const char* op, size_t bytes) const;

  void* allocate(size_t bytes);
  void release(void* memory);
  void upload(void* to, const void* from_host, size_t bytes);
  // Waits for all that was queued before.
  void download(void* to_host, const void* from, size_t bytes);
  // Waits for what was queued before the event was recorded.
  void download_after(cudaEvent_t event, void* to_host, const void* from, size_t bytes);
  cudaEvent_t create_event() const;
  void record(cudaEvent_t event);         // behind all that is queued
  void release_event(cudaEvent_t event);  // never throws
  void clear(void* memory, size_t bytes);

  void multiply(const Product& product);
  // By cuBLASLt in one kernel. False where it cannot, and nothing is done; the epilogue is then the caller's.
  bool multiply(const Product& product, const ProductEpilogue& epilogue);
  // Who did how many of those with an epilogue, in one sentence.
  std::string describe_products();

 private:
  friend class Op;
  // Memory that ops take and leave: it grows to the largest need and is kept.
  void* scratch(size_t bytes);
  void reset_scratch();
  cublas::Compute compute_of(const Product& product) const;

  int index_;
  bool tf32_;
  using Stream = Owned<cudaStream_t, cudaStreamDestroy>;
  using Event = Owned<cudaEvent_t, cudaEventDestroy>;
  using Pinned = Owned<char*, cudaFreeHost>;
  static Stream make_stream();
  static Pinned make_pinned(size_t bytes);
  Stream stream_;
  Owned<char*, cudaFree> workspace_;  // of cuBLAS
  Owned<cublas::Handle, destroy_blas> blas_;
  std::unique_ptr<FusedProducts> fused_;
  std::recursive_mutex one_op_;
  int depth_ = 0;  // of ops that call others

  struct Chunk {
    char* memory;
    size_t bytes;
  };
  std::vector<Chunk> chunks_;  // of scratch: more than one only until the next op
  size_t used_ = 0;            // of the last one

  // Uploads go through pieces of pinned memory in turn: one is filled while others wait to be copied. A batch has a
  // few, so that the next one can be queued while it is computed.
  static constexpr size_t kPiece = size_t{512} << 10;
  static constexpr int kPieces = 16;
  Pinned staging_;
  Event copied_[kPieces];
  int piece_ = 0;

  // Downloads go through two halves of it: one arrives while the other is taken out.
  static constexpr size_t kHalf = size_t{4} << 20;
  std::mutex one_download_;
  Stream downloads_;
  Pinned landing_;
  Event arrived_[2];
  Event end_;  // of what was queued when a download that waits for all of it was asked for

  // Values that one op after the other asks for, by name.
  struct Kept {
    std::vector<char> values;  // what is in `memory`
    void* memory = nullptr;
    size_t capacity = 0;
  };
  const void* kept(const char* name, const void* values, size_t bytes);
  std::map<std::string, Kept> kept_;
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
    if (device_.depth_ == 0) device_.reset_scratch();  // which may throw
    ++device_.depth_;
  }
  ~Op() { --device_.depth_; }
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;

  Device& device() const { return device_; }

  // ERR_CUDA, ERR_DEVICE_LIMIT. `shared`: bytes of dynamic shared memory.
  template <class... P, class... A>
  void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, A&&... args) const {
    constexpr size_t kWithoutAsking = 48 * 1024;
    if (shared > kWithoutAsking) {
      device_.require_shared(name_, shared);
      check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(shared)),
            name_);
    }
    check(gpu::launch(kernel, grid, block, shared, device_.stream(), std::forward<A>(args)...), name_);
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

  // Host values that one op after the other needs while a batch is computed: uploaded when they change.
  template <class T>
  const T* kept(const char* name, const T* values, size_t count) const {
    return static_cast<const T*>(device_.kept(name, values, count * sizeof(T)));
  }
  // The B + 1 offsets of a batch, which ops are given in host memory.
  const int32_t* offsets(const int32_t* host, int B) const { return kept("offsets", host, static_cast<size_t>(B) + 1); }

 private:
  Device& device_;
  const char* name_;
  std::unique_lock<std::recursive_mutex> held_;
};

}  // namespace fles::cuda
