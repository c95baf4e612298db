// The table of the CUDA backend, one instance a device, made on first use and kept for the life of the process.
#include "backend_cuda.h"

#include <map>
#include <memory>
#include <string>

#include "backend/cuda_library.h"
#include "core/error.h"
#include "device.h"
#include "operand.h"

namespace fles::cuda {
namespace {

constexpr int kRowsAtOnce = 1 << 16;  // a launch each

void* allocate(void* self, size_t bytes) { return device_of(self).allocate(bytes); }
void release(void* self, void* memory) { device_of(self).release(memory); }
void upload(void* self, void* to, const void* from, size_t bytes) { device_of(self).upload(to, from, bytes); }
void download(void* self, void* to, const void* from, size_t bytes) { device_of(self).download(to, from, bytes); }
void clear(void* self, void* memory, size_t bytes) { device_of(self).clear(memory, bytes); }

// A mark is an event.
Mark* create_mark(void* self) { return reinterpret_cast<Mark*>(device_of(self).create_event()); }
void set_mark(void* self, Mark* mark) { device_of(self).record(reinterpret_cast<cudaEvent_t>(mark)); }
void download_at(void* self, const Mark* mark, void* to, const void* from, size_t bytes) {
  device_of(self).download_after(reinterpret_cast<cudaEvent_t>(const_cast<Mark*>(mark)), to, from, bytes);
}
void release_mark(void* self, Mark* mark) { device_of(self).release_event(reinterpret_cast<cudaEvent_t>(mark)); }

PackedMatrix* create_packed(void* self, int N, int K, DataType type) {
  return new PackedMatrix{N, K, type, device_of(self).allocate(operand_bytes(type, N, K))};
}

bool on_device(const void* memory) {
  cudaPointerAttributes attributes{};
  check(cudaPointerGetAttributes(&attributes, memory), "asking where memory is");
  return attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged;
}

void pack_rows(void* self, PackedMatrix* matrix, const float* rows, int first, int count) {
  if (count == 0 || matrix->K == 0) return;
  const Op op(self, "packing weights");
  const size_t values = static_cast<size_t>(count) * matrix->K;
  auto* copy = op.scratch<float>(values);
  // The rows may be on either side. Those of the host are the caller's again when this returns.
  if (on_device(rows)) {
    check(cudaMemcpyAsync(copy, rows, values * sizeof(float), cudaMemcpyDeviceToDevice, op.device().stream()),
          "packing weights");
  } else {
    op.device().upload(copy, rows, values * sizeof(float));
  }
  convert_rows(op, matrix->type, copy, first, count, matrix->K, matrix->data, matrix->N);
}

void release_packed(void* self, PackedMatrix* matrix) {
  device_of(self).release(matrix->data);
  delete matrix;
}

struct Instance {
  explicit Instance(int index) : device(index) {}
  Device device;
  Backend table{};
};

// In the words of docs/cuda.md.
void require_device(int index) {
  int devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&devices);
  (void)cudaGetLastError();
  if (error != cudaSuccess) {
    fail("ERR_DEVICE_UNAVAILABLE",
         "no CUDA device: %s (%s); nvidia-smi shows devices and driver, which must be as new as CUDA %d.%d",
         cudaGetErrorString(error), cudaGetErrorName(error), CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
  }
  if (index < 0 || index >= devices) {
    fail("ERR_DEVICE_UNAVAILABLE", "CUDA device %d was asked for, expected 0..%d (CUDA_VISIBLE_DEVICES may hide some)",
         index, devices - 1);
  }
}

cudaDeviceProp properties_of(int index) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, index), "describing a device");
  return properties;
}

int count_devices() {
  require_device(0);
  int devices = 0;
  check(cudaGetDeviceCount(&devices), "counting devices");
  return devices;
}

bool runs_kernels(const cudaDeviceProp& properties) { return properties.major >= 8; }

// What the device must be to run the kernels, and what they need beside it. Returns what it is.
cudaDeviceProp require_usable(int index) {
  require_device(index);
  const cudaDeviceProp properties = properties_of(index);
  if (!runs_kernels(properties)) {
    fail("ERR_DEVICE_UNAVAILABLE",
         "CUDA device %d, %s, has the compute capability %d.%d, expected 8.0 or more (A100, H100 and later); "
         "use another one, or device cpu",
         index, properties.name, properties.major, properties.minor);
  }
  const char* reason = nullptr;
  if (cublas::library(&reason) == nullptr) fail("ERR_DEVICE_UNAVAILABLE", "%s", reason);
  return properties;
}

int first_usable() {
  const int devices = count_devices();
  int first = 0;
  while (first < devices && !runs_kernels(properties_of(first))) ++first;
  if (first == devices) first = 0;  // and say why it is not
  require_usable(first);
  return first;
}

const Backend* open(int index) {
  static std::mutex lock;
  // Never destroyed: encoders may outlive statics.
  static auto* instances = new std::map<int, std::unique_ptr<Instance>>;
  const std::scoped_lock held(lock);
  const auto known = instances->find(index);
  if (known != instances->end()) return &known->second->table;
  const cudaDeviceProp properties = require_usable(index);
  auto instance = std::make_unique<Instance>(index);
  instance->table = Backend{.name = "cuda",
                            .fingerprint = table_fingerprint(),
                            .self = &instance->device,
                            .allocate = allocate,
                            .release = release,
                            .upload = upload,
                            .download = download,
                            .clear = clear,
                            .create_mark = create_mark,
                            .set_mark = set_mark,
                            .download_at = download_at,
                            .release_mark = release_mark,
                            .create_packed = create_packed,
                            .pack_rows = pack_rows,
                            .release_packed = release_packed,
                            .rows_at_once = kRowsAtOnce,
                            .memory = properties.totalGlobalMem,
                            .queues = true,
                            .screens = false,
                            .sixteen_bits = DataType::kBfloat16
#define FLES_OP(op, Arguments) , .op = op
#include "ops/ops.def"
#undef FLES_OP
  };
  return &instances->emplace(index, std::move(instance)).first->second->table;
}

std::string describe(int index) {
  require_device(index);
  const cudaDeviceProp properties = properties_of(index);
  return std::string(properties.name) + ", compute capability " + std::to_string(properties.major) + "." +
         std::to_string(properties.minor) + ", " + std::to_string(properties.totalGlobalMem >> 20) + " MiB" +
         (runs_kernels(properties) ? "" : ", too old");
}

std::string describe_products(int index) { return device_of(open(index)->self).describe_products(); }

}  // namespace
}  // namespace fles::cuda

extern "C" __attribute__((visibility("default"))) const fles::CudaLibrary* fles_cuda_library() {
#if FLES_CUDA_EMULATED
  constexpr bool kEmulated = true;
#else
  constexpr bool kEmulated = false;
#endif
  static const fles::CudaLibrary library{
      fles::table_fingerprint(), kEmulated,        fles::cuda::count_devices,    fles::cuda::first_usable,
      fles::cuda::describe,      fles::cuda::open, fles::cuda::describe_products};
  return &library;
}
