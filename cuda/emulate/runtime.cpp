// The CUDA runtime API: devices, memory, copies, launches. Streams and events are in streams.cpp, errors in errors.cpp.
#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "emulate/block.h"
#include "emulate/configuration.h"
#include "emulate/errors.h"
#include "emulate/log.h"
#include "emulate/memory.h"
#include "emulate/streams.h"
#include "emulate/workers.h"

namespace emulate {
namespace {

constexpr int kVersion = 12080;
constexpr int kMultiprocessors = 108;

using Held = std::scoped_lock<std::recursive_mutex>;

struct Launches {
  std::map<const void*, size_t> dynamic_shared;  // that cudaFuncSetAttribute has allowed
  int64_t count = 0;
};
Launches& launch_state() {
  static auto* state = new Launches;  // never destroyed: the process may end while others use it
  return *state;
}

bool is_device(int device) { return device >= 0 && device < configuration().devices; }

// What is wrong with the size of a launch; empty when nothing is.
std::string wrong_size(const Call& call) {
  const dim3 grid = call.grid, block = call.block;
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  if (threads == 0 || block.x > 1024 || block.y > 1024 || block.z > 64 || threads > kMaxBlockThreads) {
    return "a block of " + std::to_string(block.x) + " x " + std::to_string(block.y) + " x " + std::to_string(block.z) +
           " threads";
  }
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7FFFFFFFU || grid.y > 65535 || grid.z > 65535) {
    return "a grid of " + std::to_string(grid.x) + " x " + std::to_string(grid.y) + " x " + std::to_string(grid.z) +
           " blocks";
  }
  return "";
}

// What is wrong with a pointer of a kernel; empty when nothing is.
std::string wrong_pointer(const void* pointer, int device) {
  if (pointer == nullptr) return "";
  const Allocation* allocation = allocation_of(pointer, 0);
  if (allocation == nullptr) return "is not in device memory";
  if (allocation->kind == MemoryKind::kDevice && allocation->device != device) return "is of another device";
  return "";
}

void run_kernel(const Call& call, size_t shared_limit) {
  if (lasting_error() != cudaSuccess) return;
  const OnDevice scope;
  Launch launch;
  launch.call = call;
  launch.shared_limit = shared_limit;
  if (const Block* block = run_blocks(launch)) failed(block->error_code(), block->error());
}

}  // namespace

int64_t launches() {
  const Held held(host_lock());
  return launch_state().count;
}

cudaError_t launch(const Call& call, cudaStream_t handle, const void* const* pointers, int count) {
  const Held held(host_lock());
  const std::shared_ptr<void> arguments(call.arguments, call.destroy);
  if (lasting_error() != cudaSuccess) return failed(lasting_error());
  if (const std::string wrong = wrong_size(call); !wrong.empty()) {
    return failed(cudaErrorInvalidConfiguration, "launch: " + wrong);
  }
  const auto allowed = launch_state().dynamic_shared.find(call.kernel);
  const bool asked = allowed != launch_state().dynamic_shared.end();
  const size_t limit = asked ? allowed->second : kSharedBytes;
  if (call.shared > limit) {
    return failed(cudaErrorInvalidValue, "launch: " + std::to_string(call.shared) +
                                             " bytes of dynamic shared memory, of which cudaFuncSetAttribute allows " +
                                             std::to_string(limit));
  }
  Stream* stream = find_stream(handle);
  if (stream == nullptr || device_of(*stream) != this_device()) {
    return failed(cudaErrorInvalidResourceHandle, "launch: the stream is not one of the current device");
  }
  for (int i = 0; i < count; ++i) {
    const std::string wrong = wrong_pointer(pointers[i], this_device());
    if (wrong.empty()) continue;
    return failed(cudaErrorLaunchFailure, "launch: pointer " + std::to_string(i) + " of the arguments " + wrong);
  }
  ++launch_state().count;
  log("launch");
  const size_t shared_limit = asked ? shared_bytes_opt_in(this_device()) : kSharedBytes;
  enqueue(*stream, [call, shared_limit, arguments] { run_kernel(call, shared_limit); });
  return failed(lasting_error());
}

}  // namespace emulate

using emulate::allocation_of;
using emulate::failed;
using emulate::Held;
using emulate::host_lock;
using emulate::in_allocation;
using emulate::lasting_error;
using emulate::MemoryKind;
using emulate::OnDevice;
using emulate::Stream;

cudaError_t cudaDriverGetVersion(int* version) {
  *version = emulate::kVersion;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = emulate::kVersion;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = emulate::configuration().devices;
  return *count == 0 ? failed(cudaErrorNoDevice) : cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (!emulate::is_device(device)) return failed(cudaErrorInvalidDevice);
  emulate::set_this_device(device);
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = emulate::this_device();
  return emulate::configuration().devices == 0 ? failed(cudaErrorNoDevice) : cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (!emulate::is_device(device)) return failed(cudaErrorInvalidDevice);
  *properties = {};
  std::strncpy(properties->name, "emulated device", sizeof properties->name - 1);
  properties->totalGlobalMem = emulate::kDeviceBytes;
  properties->sharedMemPerBlock = emulate::kSharedBytes;
  const int capability = emulate::capability_of(device);
  properties->sharedMemPerBlockOptin = emulate::shared_bytes_opt_in(device);
  properties->sharedMemPerMultiprocessor = properties->sharedMemPerBlockOptin + 1024;
  properties->major = capability / 10;
  properties->minor = capability % 10;
  properties->multiProcessorCount = emulate::kMultiprocessors;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = emulate::kMaxBlockThreads;
  properties->maxThreadsPerMultiProcessor = 2048;
  properties->l2CacheSize = 40 << 20;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp properties{};
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, device); error != cudaSuccess) return error;
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = properties.maxThreadsPerBlock;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = static_cast<int>(properties.sharedMemPerBlock);
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(properties.sharedMemPerBlockOptin);
      return cudaSuccess;
    case cudaDevAttrWarpSize:
      *value = properties.warpSize;
      return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      *value = properties.multiProcessorCount;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = properties.major;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = properties.minor;
      return cudaSuccess;
  }
  return failed(cudaErrorInvalidValue);
}

static cudaError_t allocate_kind(void** memory, size_t bytes, MemoryKind kind) {
  const Held held(host_lock());
  if (emulate::configuration().devices == 0) return failed(cudaErrorNoDevice);
  if (lasting_error() != cudaSuccess) return failed(lasting_error());
  const cudaError_t error = emulate::allocate(memory, bytes, kind, emulate::this_device());
  if (error == cudaSuccess) emulate::log("%s %zu", kind == MemoryKind::kDevice ? "allocate" : "pin", bytes);
  return error;
}
static cudaError_t release_kind(void* memory, MemoryKind kind) {
  const Held held(host_lock());
  if (memory == nullptr) return cudaSuccess;
  emulate::log_wait(!emulate::is_idle());
  emulate::finish_all();  // cudaFree waits for the device
  emulate::log(kind == MemoryKind::kDevice ? "free" : "unpin");
  return emulate::release(memory, kind);
}
cudaError_t cudaMalloc(void** memory, size_t bytes) { return allocate_kind(memory, bytes, MemoryKind::kDevice); }
cudaError_t cudaFree(void* memory) { return release_kind(memory, MemoryKind::kDevice); }
cudaError_t cudaMallocHost(void** memory, size_t bytes) { return allocate_kind(memory, bytes, MemoryKind::kPinned); }
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  return allocate_kind(memory, bytes, MemoryKind::kPinned);
}
cudaError_t cudaFreeHost(void* memory) { return release_kind(memory, MemoryKind::kPinned); }

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* memory) {
  const Held held(host_lock());
  *attributes = {};
  const emulate::Allocation* allocation = emulate::allocation_of(memory, 1);  // at an end, other memory may begin
  if (allocation == nullptr) return cudaSuccess;
  attributes->device = allocation->device;
  attributes->type = allocation->kind == MemoryKind::kDevice ? cudaMemoryTypeDevice : cudaMemoryTypeHost;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  const Held held(host_lock());
  *total = emulate::kDeviceBytes;
  *free = *total - emulate::live_bytes(emulate::this_device());
  return cudaSuccess;
}

namespace {

bool on_device(const void* memory, size_t bytes) {
  const emulate::Allocation* allocation = allocation_of(memory, bytes);
  return allocation != nullptr && allocation->kind == MemoryKind::kDevice;
}

// Whether a side of a copy is where its kind says. What is of the host must not be, not even in part, of the device.
bool agrees(const void* memory, size_t bytes, bool of_device) {
  return of_device ? on_device(memory, bytes) : !emulate::touches_device(memory, bytes);
}

}  // namespace

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t handle) {
  const Held held(host_lock());
  if (lasting_error() != cudaSuccess) return failed(lasting_error());
  Stream* stream = emulate::find_stream(handle);
  if (stream == nullptr) return failed(cudaErrorInvalidResourceHandle, "cudaMemcpy: the handle is no stream");
  if (bytes == 0) return cudaSuccess;
  const bool any = kind == cudaMemcpyDefault;
  const bool to_device =
      any ? on_device(to, bytes) : kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device =
      any ? on_device(from, bytes) : kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (!agrees(to, bytes, to_device) || !agrees(from, bytes, from_device)) {
    return failed(cudaErrorInvalidValue,
                  "cudaMemcpy: a pointer is not what the kind says, or the bytes do not lie in its allocation");
  }
  emulate::log("copy %s %zu", !to_device ? "to host" : from_device ? "within the device" : "to device", bytes);
  const bool pageable_source = !in_allocation(from, bytes), pageable_target = !in_allocation(to, bytes);
  if (pageable_source) {  // copied before the call returns, as in CUDA
    const auto* values = static_cast<const char*>(from);
    auto staged = std::make_shared<std::vector<char>>(values, values + bytes);
    emulate::enqueue(*stream, [=] {
      const OnDevice scope;
      std::memcpy(to, staged->data(), bytes);
    });
  } else {
    emulate::enqueue(*stream, [=] {
      const OnDevice scope;
      std::memmove(to, from, bytes);
    });
  }
  if (pageable_target) {  // there when the call returns, as in CUDA
    emulate::log_wait(!emulate::is_idle(*stream));
    emulate::finish(*stream);
  }
  return failed(lasting_error());
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  const Held held(host_lock());
  const cudaError_t error = cudaMemcpyAsync(to, from, bytes, kind, nullptr);
  emulate::finish(*emulate::find_stream(nullptr));
  return error != cudaSuccess ? error : failed(lasting_error());
}

cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t handle) {
  const Held held(host_lock());
  if (lasting_error() != cudaSuccess) return failed(lasting_error());
  Stream* stream = emulate::find_stream(handle);
  if (stream == nullptr) return failed(cudaErrorInvalidResourceHandle, "cudaMemset: the handle is no stream");
  if (bytes == 0) return cudaSuccess;
  if (!in_allocation(memory, bytes)) {
    return failed(cudaErrorInvalidValue, "cudaMemset: the bytes do not lie in an allocation");
  }
  emulate::enqueue(*stream, [=] {
    const OnDevice scope;
    std::memset(memory, value, bytes);
  });
  return cudaSuccess;
}
cudaError_t cudaMemset(void* memory, int value, size_t bytes) { return cudaMemsetAsync(memory, value, bytes, nullptr); }

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  const Held held(host_lock());
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  if (value < 0 || static_cast<size_t>(value) > emulate::shared_bytes_opt_in(emulate::this_device()))
    return failed(cudaErrorInvalidValue);
  emulate::launch_state().dynamic_shared[kernel] = static_cast<size_t>(value);
  return cudaSuccess;
}
