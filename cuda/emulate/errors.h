// The errors of the runtime, and the lock that everything of the host API holds.
#pragma once
#include <mutex>
#include <string>

#include "emulate/types.h"

namespace emulate {

// Recursive: the API uses itself.
std::recursive_mutex& host_lock();

// The caller holds the lock.
cudaError_t failed(cudaError_t error);                             // remembers the error for cudaGetLastError
cudaError_t failed(cudaError_t error, const std::string& report);  // and says on stderr what it is about

// cudaSuccess until a launch fails: after that everything does, as on a device.
cudaError_t lasting_error();

}  // namespace emulate
