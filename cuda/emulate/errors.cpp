#include "emulate/errors.h"

#include <cstdio>
#include <cstdlib>

#include "emulate/configuration.h"
#include "emulate/interface.h"

namespace emulate {
namespace {

struct Description {
  cudaError_t error;
  const char* name;
  const char* text;
};
constexpr Description kDescriptions[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice",
     "no kernel image is available for execution on the device"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};
const Description& description(cudaError_t error) {
  for (const Description& one : kDescriptions) {
    if (one.error == error) return one;
  }
  static constexpr Description kUnrecognized = {cudaErrorUnknown, "unrecognized error code", "unrecognized error code"};
  return kUnrecognized;
}

constinit thread_local cudaError_t last_error = cudaSuccess;
constinit cudaError_t lasting = cudaSuccess;
// Never destroyed, as other threads may still report when the process ends.
std::string& report_text() {
  static auto* text = new std::string;
  return *text;
}

}  // namespace

std::recursive_mutex& host_lock() {
  static auto* lock = new std::recursive_mutex;
  return *lock;
}

cudaError_t failed(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

cudaError_t failed(cudaError_t error, const std::string& report) {
  if (error == cudaErrorLaunchFailure || error == cudaErrorIllegalAddress) lasting = error;
  report_text() = report;
  std::fprintf(stderr, "[emulated CUDA] %s\n", report.c_str());
  if (configuration().abort) std::abort();
  return failed(error);
}

cudaError_t lasting_error() { return lasting; }

const char* last_report() {
  const std::scoped_lock held(host_lock());
  return report_text().c_str();
}

void reset() {
  const std::scoped_lock held(host_lock());
  last_error = lasting = cudaSuccess;
  report_text().clear();
}

}  // namespace emulate

cudaError_t cudaGetLastError() {
  const cudaError_t error = cudaPeekAtLastError();
  emulate::last_error = cudaSuccess;
  return error;
}
cudaError_t cudaPeekAtLastError() {
  const std::scoped_lock held(emulate::host_lock());
  return emulate::lasting != cudaSuccess ? emulate::lasting : emulate::last_error;
}
const char* cudaGetErrorName(cudaError_t error) { return emulate::description(error).name; }
const char* cudaGetErrorString(cudaError_t error) { return emulate::description(error).text; }
