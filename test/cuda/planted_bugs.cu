// What the emulator must see: `planted_bugs NAME` runs one bug and says on its last line what came of it: "error NAME"
// when CUDA returned one, "wrong numbers", or "nothing". Sanitizers end the run before that. Without a name it lists
// the bugs with what must see each (see Bug). scripts/planted-bugs.mjs runs them all.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "cublas.h"
#include "gpu.h"
#include "planted_kernels.cuh"

namespace {

struct Outcome {
  cudaError_t error = cudaSuccess;
  bool wrong = false;
};

void require(int status) {
  if (status == 0) return;
  std::printf("a call that is correct failed with %d\n", status);
  std::exit(2);
}

// Values on the device, exactly so many.
class Buffer {
 public:
  explicit Buffer(size_t count) : count_(count) { require(cudaMalloc(&memory_, count * sizeof(float))); }
  explicit Buffer(const std::vector<float>& values) : Buffer(values.size()) {
    require(cudaMemcpy(memory_, values.data(), count_ * sizeof(float), cudaMemcpyHostToDevice));
  }
  ~Buffer() { (void)cudaFree(memory_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  operator float*() const { return memory_; }
  std::vector<float> values() const {
    std::vector<float> copied(count_);
    require(cudaMemcpy(copied.data(), memory_, count_ * sizeof(float), cudaMemcpyDeviceToHost));
    return copied;
  }

 private:
  float* memory_ = nullptr;
  size_t count_;
};

constexpr int kCount = 256;

std::vector<float> numbers(int count = kCount) {
  std::vector<float> values(count);
  for (int i = 0; i < count; ++i) values[i] = static_cast<float>(i + 1);
  return values;
}

// `count` values of a function of the index.
template <class Function>
std::vector<float> expected(int count, const Function& function) {
  std::vector<float> values(count);
  for (int i = 0; i < count; ++i) values[i] = static_cast<float>(function(i));
  return values;
}

// The first values of the output, where the kernels ran, against those expected.
Outcome compare(cudaError_t error, const Buffer& out, const std::vector<float>& wanted) {
  if (error == cudaSuccess) error = cudaDeviceSynchronize();
  if (error != cudaSuccess) return {error, false};
  const std::vector<float> values = out.values();
  bool wrong = false;
  for (size_t i = 0; i < wanted.size(); ++i) wrong |= !(values[i] == wanted[i]);
  return {cudaSuccess, wrong};
}

struct Buffers {
  Buffer in{numbers()}, out{std::vector<float>(kCount)};
};

template <class... P, class... A>
cudaError_t launch(void (*kernel)(P...), int grid, int block, const A&... arguments) {
  return gpu::launch(kernel, grid, block, 0, nullptr, arguments...);
}

template <Neighbour bug>
Outcome run_neighbour() {
  const Buffers b;
  const auto wanted = expected(kCount, [](int i) { return i + 1 + i / 64 * 64 + (i + 1) % 64 + 1; });
  return compare(launch(neighbour<bug>, 4, 64, b.in, b.out, kCount), b.out, wanted);
}

template <Async bug>
Outcome run_reversed() {
  const Buffers b;
  return compare(launch(reversed<bug>, 1, 32, b.in, b.out), b.out, expected(128, [](int i) { return 128 - i; }));
}

// A kernel of output alone, which must be caught by an error or a sanitizer.
template <class Kernel>
Outcome run_writer(Kernel* kernel, int block) {
  const Buffers b;
  return compare(launch(kernel, 1, block, b.out), b.out, {});
}
template <class Kernel>
Outcome run_reader(Kernel* kernel, int block, const std::vector<float>& wanted = {}) {
  const Buffers b;
  return compare(launch(kernel, 1, block, b.in, b.out), b.out, wanted);
}

// Products of 16 x 16 matrices unless said otherwise, all of which the 256 values hold.
struct Matrices {
  int m = 16, lda = 16, ldc = 16;
  cublas::Type a = cublas::kFloat32, c = cublas::kFloat32;
  cublas::Compute compute = cublas::kCompute32F;
};
Outcome run_product(const Matrices& p) {
  const Buffers b;
  const auto* blas = cublas::library(nullptr);
  cublas::Handle handle;
  require(blas->create(&handle));
  const float one = 1, zero = 0;
  const int status = blas->gemm(handle, cublas::kPlain, cublas::kPlain, p.m, 16, 16, &one, b.in, p.a, p.lda, b.in, p.a,
                                16, &zero, b.out, p.c, p.ldc, p.compute, cublas::kDefault);
  require(blas->destroy(handle));
  (void)cudaDeviceSynchronize();
  return {status == cublas::kSuccess ? cudaSuccess : cudaErrorInvalidValue, false};
}

struct Stream {
  explicit Stream(unsigned flags = cudaStreamDefault) { require(cudaStreamCreateWithFlags(&handle, flags)); }
  ~Stream() { (void)cudaStreamDestroy(handle); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator cudaStream_t() const { return handle; }
  cudaStream_t handle;
};

// What begins where an allocation ends is not of the device.
Outcome asks_for_an_end() {
  const Buffer one(kCount);
  cudaPointerAttributes attributes{};
  const cudaError_t error = cudaPointerGetAttributes(&attributes, one + kCount);
  return {error, attributes.type == cudaMemoryTypeDevice};
}

Outcome host_reads_device() {
  const Buffers b;
  const volatile float* values = b.in;
  (void)values[0];
  return {};
}

Outcome host_pointer() {
  const Buffers b;
  const auto host = numbers();
  return compare(launch(twice, 1, 64, host.data(), b.out, 64), b.out, {});
}

Outcome use_after_free() {
  const Buffers b;
  float* freed = nullptr;
  require(cudaMalloc(&freed, 1024));
  require(cudaFree(freed));
  return compare(launch(twice, 1, 64, freed, b.out, 64), b.out, {});
}

Outcome double_free() {
  float* freed = nullptr;
  require(cudaMalloc(&freed, 1024));
  require(cudaFree(freed));
  return {cudaFree(freed), false};
}

Outcome copy_too_long() {
  const Buffers b;
  const auto values = numbers(kCount + 1);
  return {cudaMemcpy(b.out, values.data(), values.size() * sizeof(float), cudaMemcpyHostToDevice), false};
}

Outcome copy_of_the_wrong_kind() {
  const Buffers b;
  const auto values = numbers();
  return {cudaMemcpy(b.out, values.data(), 64, cudaMemcpyDeviceToHost), false};
}

Outcome unset_device() {
  const Buffers b;
  const Buffer unset(kCount);
  return compare(launch(twice, 4, 64, unset, b.out, kCount), b.out, expected(kCount, [](int) { return 0; }));
}

Outcome too_much_dynamic_shared() {
  const Buffers b;
  return compare(gpu::launch(one_behind_dynamic, 1, 64, 64 * 1024, nullptr, b.out, 64), b.out, {});
}

Outcome too_much_shared_together() {
  const Buffers b;
  return compare(gpu::launch(much_shared, 1, 64, 16 * 1024, nullptr, b.out), b.out, {});
}

Outcome dynamic_shared_read_behind() {
  const Buffers b;
  return compare(gpu::launch(one_behind_dynamic, 1, 64, 256, nullptr, b.out, 64), b.out,
                 expected(64, [](int) { return 1; }));
}

Outcome stream_not_waited_for() {
  const Buffers b;
  float* host = nullptr;
  require(cudaMallocHost(&host, kCount * sizeof(float)));
  std::memset(host, 0, kCount * sizeof(float));
  bool wrong;
  {
    const Stream stream;
    require(gpu::launch(twice, 4, 64, 0, stream, b.in, b.out, kCount));
    require(cudaMemcpyAsync(host, b.out, kCount * sizeof(float), cudaMemcpyDeviceToHost, stream));
    wrong = host[5] != 12;
    require(cudaStreamSynchronize(stream));
  }
  require(cudaFreeHost(host));
  return {cudaSuccess, wrong};
}

Outcome staging_overwritten() {
  const Buffers b;
  float* host = nullptr;
  require(cudaMallocHost(&host, sizeof(float)));
  bool wrong;
  {
    const Stream stream;
    host[0] = 1;
    require(cudaMemcpyAsync(b.in, host, sizeof(float), cudaMemcpyHostToDevice, stream));
    host[0] = 2;  // the copy may not have been made
    require(cudaStreamSynchronize(stream));
    wrong = b.in.values()[0] != 1;
  }
  require(cudaFreeHost(host));
  return {cudaSuccess, wrong};
}

Outcome streams_not_ordered() {
  const Buffers b;
  const Buffer between{std::vector<float>(kCount)};
  const Stream first, second;
  require(gpu::launch(twice, 4, 64, 0, first, b.in, between, kCount));
  require(gpu::launch(twice, 4, 64, 0, second, between, b.out, kCount));  // cudaStreamWaitEvent is missing
  return compare(cudaSuccess, b.out, expected(kCount, [](int i) { return 4 * (i + 1); }));
}

// Copies without a stream do not wait for streams that do not block.
Outcome default_stream_not_ordered() {
  const Buffers b;
  const Stream stream(cudaStreamNonBlocking);
  require(gpu::launch(twice, 4, 64, 0, stream, b.in, b.out, kCount));
  bool wrong = false;
  const std::vector<float> values = b.out.values();
  for (int i = 0; i < kCount; ++i) wrong |= values[i] != static_cast<float>(2 * (i + 1));
  return {cudaDeviceSynchronize(), wrong};
}

Outcome destroyed_stream() {
  const Buffers b;
  cudaStream_t handle;
  {
    const Stream stream;
    handle = stream;
  }
  return compare(gpu::launch(twice, 4, 64, 0, handle, b.in, b.out, kCount), b.out, {});
}

Outcome workspace_of_the_host() {
  const auto* blas = cublas::library(nullptr);
  cublas::Handle handle;
  require(blas->create(&handle));
  alignas(256) static char workspace[256];
  const int status = blas->set_workspace(handle, workspace, sizeof workspace);
  require(blas->destroy(handle));
  return {status == cublas::kSuccess ? cudaSuccess : cudaErrorInvalidValue, false};
}

// ---- the table ----

struct Bug {
  const char* name;
  // What must see it. always: every run, whatever the schedule; schedules: at least one of forward, reverse and random;
  // streams: at least one run with lazy streams; address: AddressSanitizer or UBSan; thread: ThreadSanitizer.
  const char* seen_by;
  Outcome (*run)();
};

constexpr Bug kBugs[] = {
    {"none", "", run_neighbour<Neighbour::kCorrect>},
    {"none_async", "", run_reversed<Async::kCorrect>},
    {"none_at_an_end", "", asks_for_an_end},
    {"missing_barrier", "schedules thread", run_neighbour<Neighbour::kNoBarrier>},
    {"missing_second_barrier", "schedules thread",
     [] {
       const auto wanted = expected(64, [](int t) { return 4 * (64 - t) + 64 * (0 + 1 + 2 + 3); });
       const Buffers b;
       return compare(launch(overwrites_while_others_read, 1, 64, b.in, b.out, 4), b.out, wanted);
     }},
    {"missing_warp_barrier", "schedules thread",
     [] { return run_reader(warp_in_step, 32, expected(32, [](int t) { return 32 - t; })); }},
    {"barrier_in_a_branch", "always", [] { return run_writer(barrier_in_a_branch, 64); }},
    {"barriers_of_two_branches", "always", [] { return run_writer(barriers_of_two_branches, 64); }},
    {"exit_before_a_barrier", "always",
     [] {
       const Buffers b;
       return compare(launch(exit_before_a_barrier, 1, 64, b.out, 40), b.out, {});
     }},
    {"shuffle_in_a_branch", "always", [] { return run_reader(shuffle_in_a_branch, 32); }},
    {"shuffle_after_an_exit", "always", [] { return run_reader(shuffle_after_an_exit, 32); }},
    {"different_shuffles", "always", [] { return run_reader(different_shuffles, 32); }},
    {"shuffle_from_outside_the_mask", "always",
     [] { return run_reader(shuffle_from_outside_the_mask, 32, expected(16, [](int t) { return t + 17; })); }},
    {"shuffle_by_a_whole_warp", "always", [] { return run_reader(shuffle_by_a_whole_warp, 32); }},
    {"shared_read_behind", "always address", run_neighbour<Neighbour::kReadsBehind>},
    {"shared_write_behind", "always address", run_neighbour<Neighbour::kWritesBehind>},
    {"dynamic_shared_read_behind", "always address", dynamic_shared_read_behind},
    {"global_write_behind", "address", run_neighbour<Neighbour::kWritesBehindOutput>},
    {"vector_of_unaligned_shared", "address",
     [] { return run_reader(vector_of_unaligned_shared, 64, expected(16, [](int t) { return 8 * t + 5; })); }},
    {"vector_of_unaligned_global", "address",
     [] { return run_reader(vector_of_unaligned_global, 1, expected(1, [](int) { return 2; })); }},
    {"unset_shared", "always",
     [] {
       const Buffers b;
       return compare(launch(unset_shared, 1, 64, b.out), b.out, expected(64, [](int) { return 1; }));
     }},
    {"unset_device", "always", unset_device},
    {"blocks_race", "thread",
     [] {
       const Buffers b;
       return compare(launch(blocks_add, 64, 1, b.out), b.out, expected(1, [](int) { return 64; }));
     }},
    {"threads_race", "thread",
     [] {
       const Buffers b;
       return compare(launch(threads_count, 1, 64, b.out), b.out, expected(4, [](int) { return 16; }));
     }},
    {"copy_not_waited_for", "always", run_reversed<Async::kNoWait>},
    {"copy_without_a_barrier", "schedules thread", run_reversed<Async::kNoBarrier>},
    {"copy_to_what_is_written", "always", [] { return run_reader(copy_to_what_is_written, 32); }},
    {"copy_into_what_is_read", "schedules thread",
     [] {
       const Buffers b;
       const auto wanted = expected(32, [](int t) { return 2 * (128 - 4 * t) + 128; });
       return compare(launch(copy_into_what_is_read, 1, 32, b.in, b.out, 2), b.out, wanted);
     }},
    {"copy_to_global", "always", [] { return run_reader(copy_to_global, 1); }},
    {"matrices_of_unaligned_rows", "always", [] { return run_writer(matrices_of_unaligned_rows, 32); }},
    {"null_pointer", "always",
     [] {
       const Buffers b;
       return compare(launch(twice, 1, 64, nullptr, b.out, 64), b.out, {});
     }},
    {"division_by_zero", "address",
     [] {
       const Buffers b;
       return compare(launch(divides, 1, 64, b.out, 0), b.out, {});
     }},
    {"host_pointer", "always", host_pointer},
    {"host_reads_device", "address", host_reads_device},
    {"use_after_free", "always", use_after_free},
    {"double_free", "always", double_free},
    {"copy_too_long", "always", copy_too_long},
    {"copy_of_the_wrong_kind", "always", copy_of_the_wrong_kind},
    {"too_much_dynamic_shared", "always", too_much_dynamic_shared},
    {"too_much_shared_together", "always", too_much_shared_together},
    {"block_too_large", "always",
     [] {
       const Buffers b;
       return compare(launch(twice, 1, 2048, b.in, b.out, kCount), b.out, {});
     }},
    {"destroyed_stream", "always", destroyed_stream},
    {"stream_not_waited_for", "streams", stream_not_waited_for},
    {"staging_overwritten", "streams", staging_overwritten},
    {"streams_not_ordered", "streams", streams_not_ordered},
    {"default_stream_not_ordered", "streams", default_stream_not_ordered},
    {"product_leading_dimension", "always", [] { return run_product({.lda = 8}); }},
    {"product_behind_the_operand", "always", [] { return run_product({.m = 32, .lda = 32, .ldc = 32}); }},
    {"product_types", "always", [] { return run_product({.c = cublas::kBfloat16}); }},
    {"product_unaligned_int8", "always",
     [] {
       return run_product(
           {.m = 15, .ldc = 15, .a = cublas::kInt8, .c = cublas::kInt32, .compute = cublas::kCompute32I});
     }},
    {"workspace_of_the_host", "always", workspace_of_the_host},
};

}  // namespace

int main(int count, char** names) {
  if (count < 2) {
    for (const Bug& bug : kBugs) std::printf("%s %s\n", bug.name, bug.seen_by);
    return 0;
  }
  for (const Bug& bug : kBugs) {
    if (names[1] != std::string(bug.name)) continue;
    const auto [error, wrong] = bug.run();
    if (error != cudaSuccess) {
      std::printf("error %s\n", cudaGetErrorName(error));
    } else {
      std::printf("%s\n", wrong ? "wrong numbers" : "nothing");
    }
    return 0;
  }
  std::printf("there is no bug %s\n", names[1]);
  return 2;
}
