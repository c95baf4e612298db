// The backends of this process: the CPU always, CUDA when its library loads.
#pragma once
#include <string>
#include <vector>

#include "backend/backend.h"

namespace fles {

// "auto" | "cpu" | "cuda" | "cuda:N". "cuda" is the first device that can be used, "auto" too where there is one, else
// the CPU.
// ERR_DEVICE_UNAVAILABLE with the reason.
const Backend& backend_for(const std::string& device);

struct BackendStatus {
  std::string name;
  bool installed;           // whether its library is there and of this version
  bool available;           // whether it has a device that can be used, besides
  std::string reason;       // why not, in one sentence; empty when available
  std::string description;  // the devices, where they have names
};
std::vector<BackendStatus> backend_statuses();

}  // namespace fles
