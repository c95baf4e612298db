#include "device.h"

#include <algorithm>
#include <cstdlib>

#include "core/error.h"

namespace fles::cuda {
namespace {

constexpr size_t kAlignment = 256;
constexpr size_t kWorkspace = size_t{32} << 20;  // what cuBLAS documents for Hopper

bool tf32_wanted() {
  const char* value = std::getenv("FLES_TF32");
  if (value == nullptr || std::strcmp(value, "1") == 0) return true;
  if (std::strcmp(value, "0") == 0) return false;
  fail("ERR_OPTION_VALUE", "FLES_TF32 is \"%s\", expected 0 (float32 products are exact) or 1 (they use TF32)", value);
}

// What is free is not known where the device cannot be asked.
[[noreturn]] void fail_memory(const char* what) {
  size_t free = 0, total = 0;
  (void)cudaMemGetInfo(&free, &total);
  (void)cudaGetLastError();
  fail("ERR_OUT_OF_MEMORY",
       "%s: the CUDA device has %zu of %zu bytes free; use a smaller batch or model, or end what else uses it", what,
       free, total);
}

const cublas::Library& blas() {
  const char* reason = nullptr;
  const cublas::Library* library = cublas::library(&reason);
  if (library == nullptr) fail("ERR_DEVICE_UNAVAILABLE", "%s", reason);
  return *library;
}

}  // namespace

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  (void)cudaGetLastError();  // an error that is not sticky has been told of
  if (error == cudaErrorMemoryAllocation) fail_memory(what);
  fail("ERR_CUDA", "%s: %s (%s); an earlier op of the same device may be the cause: CUDA_LAUNCH_BLOCKING=1 tells which",
       what, cudaGetErrorName(error), cudaGetErrorString(error));
}

void check_blas(int status, const char* what) {
  if (status == cublas::kSuccess) return;
  if (status == cublas::kAllocationFailed) fail_memory(what);
  fail("ERR_CUDA", "%s: cuBLAS returned status %d, expected 0; its list of cublasStatus_t says what it means", what,
       status);
}

int destroy_blas(cublas::Handle handle) { return blas().destroy(handle); }

Device::Stream Device::make_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "creating a stream");
  return Stream(stream);
}

Device::Pinned Device::make_pinned(size_t bytes) {
  char* memory = nullptr;
  check(cudaMallocHost(reinterpret_cast<void**>(&memory), bytes), "allocating pinned memory");
  return Pinned(memory);
}

Device::Device(int index) : index_(index), tf32_(tf32_wanted()) {
  make_current();
  stream_ = make_stream();
  cublas::Handle handle = nullptr;
  check_blas(blas().create(&handle), "starting cuBLAS");
  blas_.reset(handle);
  check_blas(blas().set_stream(handle, stream()), "starting cuBLAS");
  // A workspace of our own: cuBLAS allocates none during a step, and its results are the same from run to run.
  workspace_.reset(static_cast<char*>(allocate(kWorkspace)));
  check_blas(blas().set_workspace(handle, workspace_.get(), kWorkspace), "starting cuBLAS");
  fused_ = std::make_unique<FusedProducts>(handle, workspace_.get(), kWorkspace);
  downloads_ = make_stream();
  staging_ = make_pinned(kPieces * kPiece);
  landing_ = make_pinned(2 * kHalf);
  for (Event& event : copied_) event.reset(create_event());
  for (Event& event : arrived_) event.reset(create_event());
  end_.reset(create_event());
}

void Device::make_current() const { check(cudaSetDevice(index_), "choosing a device"); }

void Device::require_shared(const char* op, size_t bytes) const {
  int most = 0;
  check(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, index_), "asking for a limit");
  if (bytes <= static_cast<size_t>(most)) return;
  fail("ERR_DEVICE_LIMIT",
       "%s takes %zu bytes of shared memory a block, CUDA device %d has %d; use an A100 or H100, or device cpu", op,
       bytes, index_, most);
}

cudaEvent_t Device::create_event() const {
  make_current();
  cudaEvent_t event = nullptr;
  // Who waits for it sleeps: the processor is wanted for the next texts.
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming | cudaEventBlockingSync), "creating an event");
  return event;
}

void Device::record(cudaEvent_t event) {
  const std::scoped_lock held(one_op_);
  make_current();
  check(cudaEventRecord(event, stream()), "recording an event");
}

void Device::release_event(cudaEvent_t event) {
  (void)cudaSetDevice(index_);
  (void)cudaEventDestroy(event);
}

void* Device::allocate(size_t bytes) {
  make_current();
  void* memory = nullptr;
  const cudaError_t error = cudaMalloc(&memory, bytes == 0 ? kAlignment : bytes);
  if (error == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    size_t free = 0, total = 0;
    (void)cudaMemGetInfo(&free, &total);
    fail("ERR_OUT_OF_MEMORY",
         "%zu bytes were asked of CUDA device %d, which has %zu of %zu free; use a smaller batch or model", bytes,
         index_, free, total);
  }
  check(error, "allocating memory");
  return memory;
}

// Never throws: it is called by destructors. What is freed while in use by queued work is freed after it.
void Device::release(void* memory) {
  (void)cudaSetDevice(index_);
  (void)cudaFree(memory);
}

void Device::upload(void* to, const void* from_host, size_t bytes) {
  const std::scoped_lock held(one_op_);
  make_current();
  const char* from = static_cast<const char*>(from_host);
  for (size_t first = 0; first < bytes; first += kPiece) {
    const size_t part = std::min(kPiece, bytes - first);
    check(cudaEventSynchronize(copied_[piece_].get()), "uploading");
    char* room = staging_.get() + static_cast<size_t>(piece_) * kPiece;
    std::memcpy(room, from + first, part);
    check(cudaMemcpyAsync(static_cast<char*>(to) + first, room, part, cudaMemcpyHostToDevice, stream()), "uploading");
    check(cudaEventRecord(copied_[piece_].get(), stream()), "uploading");
    piece_ = (piece_ + 1) % kPieces;
  }
}

void Device::download(void* to_host, const void* from, size_t bytes) {
  record(end_.get());  // another thread may record it again, which makes this one wait for more
  download_after(end_.get(), to_host, from, bytes);
}

void Device::download_after(cudaEvent_t event, void* to_host, const void* from, size_t bytes) {
  const std::scoped_lock held(one_download_);
  make_current();
  check(cudaStreamWaitEvent(downloads_.get(), event, 0), "downloading");
  const size_t parts = (bytes + kHalf - 1) / kHalf;
  const auto size_of = [&](size_t part) { return std::min(kHalf, bytes - part * kHalf); };
  const auto room_of = [&](size_t part) { return landing_.get() + part % 2 * kHalf; };
  for (size_t part = 0; part <= parts; ++part) {
    if (part < parts) {
      check(cudaMemcpyAsync(room_of(part), static_cast<const char*>(from) + part * kHalf, size_of(part),
                            cudaMemcpyDeviceToHost, downloads_.get()),
            "downloading");
      check(cudaEventRecord(arrived_[part % 2].get(), downloads_.get()), "downloading");
    }
    if (part == 0) continue;
    const size_t last = part - 1;
    check(cudaEventSynchronize(arrived_[last % 2].get()), "downloading");
    std::memcpy(static_cast<char*>(to_host) + last * kHalf, room_of(last), size_of(last));
  }
}

void Device::clear(void* memory, size_t bytes) {
  const std::scoped_lock held(one_op_);
  make_current();
  if (bytes > 0) check(cudaMemsetAsync(memory, 0, bytes, stream()), "clearing");
}

cublas::Compute Device::compute_of(const Product& p) const {
  if (p.a_type == cublas::kInt8) return cublas::kCompute32I;
  return p.a_type == cublas::kFloat32 && tf32_ && !p.exact ? cublas::kComputeTf32 : cublas::kCompute32F;
}

void Device::multiply(const Product& p) {
  const std::scoped_lock held(one_op_);
  const bool whole = p.a_type == cublas::kInt8;
  const float one = 1;
  const int32_t whole_one = 1, whole_beta = static_cast<int32_t>(p.beta);
  const void* alpha = whole ? static_cast<const void*>(&whole_one) : &one;
  const void* beta = whole ? static_cast<const void*>(&whole_beta) : &p.beta;
  // cuBLAS is column-major, where the same memory is the transposed matrix: C' = op(B)' op(A)'.
  const auto operation = [](bool transposed) { return transposed ? cublas::kTransposed : cublas::kPlain; };
  check_blas(
      blas().gemm(blas_.get(), operation(p.transpose_b), operation(p.transpose_a), p.n, p.m, p.k, alpha, p.b, p.b_type,
                  p.ldb, p.a, p.a_type, p.lda, beta, p.c, p.c_type, p.ldc, compute_of(p), cublas::kDefault),
      "multiplying matrices");
}

bool Device::multiply(const Product& p, const ProductEpilogue& epilogue) {
  const std::scoped_lock held(one_op_);
  return fused_->multiply(p, epilogue, compute_of(p), stream());
}

std::string Device::describe_products() {
  const std::scoped_lock held(one_op_);
  const std::string asked = std::to_string(fused_->asked());
  if (blas().lt.multiply == nullptr) return "cuBLASLt is not there: cuBLAS and a pass after it did all " + asked;
  return "cuBLASLt did " + std::to_string(fused_->queued()) + " of " + asked +
         ", cuBLAS and a pass after it the others";
}

// Work that was queued before finishes before what is queued later, so memory is free for the next op at once.
#if defined(__SANITIZE_ADDRESS__)
// Every array in memory of its own, so that AddressSanitizer sees what goes beyond it.
void Device::reset_scratch() {
  for (const Chunk& chunk : chunks_) release(chunk.memory);
  chunks_.clear();
}

void* Device::scratch(size_t bytes) {
  chunks_.push_back({static_cast<char*>(allocate(bytes)), bytes});
  return chunks_.back().memory;
}
#else
void Device::reset_scratch() {
  used_ = 0;
  if (chunks_.size() < 2) return;
  size_t total = 0;
  for (const Chunk& chunk : chunks_) {
    total += chunk.bytes;
    release(chunk.memory);
  }
  chunks_.clear();
  chunks_.push_back({static_cast<char*>(allocate(total)), total});
}

void* Device::scratch(size_t bytes) {
  bytes = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  if (chunks_.empty() || used_ + bytes > chunks_.back().bytes) {
    constexpr size_t kLeast = size_t{1} << 20;
    const size_t size = std::max(bytes, kLeast);
    chunks_.push_back({static_cast<char*>(allocate(size)), size});
    used_ = 0;
  }
  void* memory = chunks_.back().memory + used_;
  used_ += bytes;
  return memory;
}
#endif

const void* Device::kept(const char* name, const void* values, size_t bytes) {
  Kept& kept = kept_[name];
  const char* host = static_cast<const char*>(values);
  if (kept.values.size() == bytes && std::equal(host, host + bytes, kept.values.begin())) return kept.memory;
  if (bytes > kept.capacity) {
    if (kept.memory != nullptr) release(kept.memory);
    kept = Kept();
    kept.memory = allocate(bytes);
    kept.capacity = bytes;
  }
  kept.values.clear();  // until they are there
  upload(kept.memory, host, bytes);
  kept.values.assign(host, host + bytes);
  return kept.memory;
}

Device::~Device() {
  (void)cudaSetDevice(index_);
  (void)cudaStreamSynchronize(stream());
  (void)cudaStreamSynchronize(downloads_.get());
  for (const Chunk& chunk : chunks_) release(chunk.memory);
  for (const auto& [name, kept] : kept_) release(kept.memory);
}

}  // namespace fles::cuda
