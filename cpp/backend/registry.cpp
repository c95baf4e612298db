#include "backend/registry.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>

#include "backend/cuda_library.h"
#include "core/error.h"
#include "cpu/backend_cpu.h"

namespace fles {
namespace {

constexpr const char* kLibrary = "fles-cuda.so";

// Where the library of the CUDA backend is: where FLES_CUDA_LIBRARY says, else beside this one.
std::string library_path() {
  const char* chosen = std::getenv("FLES_CUDA_LIBRARY");
  if (chosen != nullptr && *chosen != '\0') return std::filesystem::absolute(chosen).string();
  Dl_info self{};
  if (dladdr(reinterpret_cast<const void*>(&backend_for), &self) == 0 || self.dli_fname == nullptr) return kLibrary;
  return (std::filesystem::absolute(self.dli_fname).parent_path() / kLibrary).string();
}

struct Opened {
  const CudaLibrary* library = nullptr;
  std::string reason;  // why there is none
};

Opened open_library() {
  const std::string path = library_path();
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return {nullptr, "the CUDA backend is not installed: there is no " + path + "; docs/cuda.md says how to build it"};
  }
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return {nullptr, std::string("the CUDA backend does not load: ") + dlerror()};
  const auto entry = reinterpret_cast<const CudaLibrary* (*)()>(dlsym(handle, "fles_cuda_library"));
  if (entry == nullptr) return {nullptr, path + " is not a CUDA backend of fles: it lacks fles_cuda_library"};
  const CudaLibrary* library = entry();
  if (library->fingerprint != table_fingerprint()) {
    return {nullptr, path + " was built from another version of fles; build it again"};
  }
  return {library, ""};
}

// Opened once, when CUDA is first asked for, and kept for the life of the process.
const Opened& cuda_library() {
  static const auto* opened = new Opened(open_library());
  return *opened;
}

// The device of "cuda:N"; -1 for other names.
int cuda_index(const std::string& device) {
  if (device.rfind("cuda:", 0) != 0 || device.size() < 6 || device.size() > 8) return -1;
  int index = 0;
  for (const char digit : device.substr(5)) {
    if (digit < '0' || digit > '9') return -1;
    index = 10 * index + (digit - '0');
  }
  return index;
}

BackendStatus cuda_status() {
  const Opened& opened = cuda_library();
  if (opened.library == nullptr) return {"cuda", false, false, opened.reason, ""};
  try {
    (void)opened.library->first_usable();
    const int devices = opened.library->count_devices();
    std::string description;
    for (int i = 0; i < devices; ++i) description += (i == 0 ? "" : "; ") + opened.library->describe(i);
    return {"cuda", true, true, "", description};
  } catch (const Error& error) {
    return {"cuda", true, false, error.what(), ""};
  }
}

}  // namespace

const Backend& backend_for(const std::string& device) {
  if (device == "cpu") return cpu::backend();
  if (device == "auto") {
    // Not one that is emulated: it is for tests, and slow.
    const bool real = cuda_library().library != nullptr && !cuda_library().library->emulated;
    return real && cuda_status().available ? backend_for("cuda") : cpu::backend();
  }
  const bool first = device == "cuda";
  const int index = cuda_index(device);
  if (index < 0 && !first)
    fail("ERR_OPTION_VALUE", "device is \"%s\", expected auto | cpu | cuda | cuda:N", device.c_str());
  const Opened& opened = cuda_library();
  if (opened.library == nullptr) {
    fail("ERR_DEVICE_UNAVAILABLE", "device is \"%s\": %s", device.c_str(), opened.reason.c_str());
  }
  return *opened.library->open(first ? opened.library->first_usable() : index);
}

std::vector<BackendStatus> backend_statuses() { return {{"cpu", true, true, "", ""}, cuda_status()}; }

}  // namespace fles
