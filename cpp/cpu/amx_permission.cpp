#include "cpu/amx_permission.h"

#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

namespace fles::cpu {

bool request_amx() {
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace fles::cpu
#else

namespace fles::cpu {

bool request_amx() { return false; }

}  // namespace fles::cpu
#endif
