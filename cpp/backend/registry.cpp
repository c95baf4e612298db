#include "backend/registry.h"

#include "core/error.h"
#include "cpu/backend_cpu.h"

namespace fles {
namespace {
constexpr const char* kNoCuda = "this build has no CUDA backend; use the CPU backend";
}

const Backend& backend_for(const std::string& device) {
  if (device == "auto" || device == "cpu") return cpu::backend();
  if (device == "cuda") fail("ERR_DEVICE_UNAVAILABLE", "device is \"cuda\": %s", kNoCuda);
  fail("ERR_OPTION_VALUE", "device is \"%s\", expected auto | cpu | cuda", device.c_str());
}

std::vector<BackendStatus> backend_statuses() { return {{"cpu", true, ""}, {"cuda", false, kNoCuda}}; }

}  // namespace fles
