#include "core/error.h"

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <vector>

namespace fles {

void fail(const char* code, const char* format, ...) {
  va_list args, measure;
  va_start(args, format);
  va_copy(measure, args);
  const int length = std::vsnprintf(nullptr, 0, format, measure);
  va_end(measure);
  std::vector<char> text(length > 0 ? length + 1 : 1);
  std::vsnprintf(text.data(), text.size(), format, args);
  va_end(args);
  throw Error(code, text.data());
}

void fail_system(const char* operation, const std::string& path, int error_number) {
  const char* reason = std::strerror(error_number);
  switch (error_number) {
    case ENOENT:
      fail("ERR_FILE_NOT_FOUND", "%s does not exist (%s); check the path", path.c_str(), operation);
    case EACCES:
    case EPERM:
    case EROFS:
      fail("ERR_FILE_ACCESS", "%s: %s was refused (%s); check its permissions", path.c_str(), operation, reason);
    case ENOSPC:
    case EDQUOT:
      fail("ERR_DISK_FULL", "%s: no space left (%s); free some space and run again", path.c_str(), operation);
    case ENOTDIR:
    case EISDIR:
      fail("ERR_FILE_KIND", "%s: a file was expected where a directory is, or the reverse (%s)", path.c_str(),
           operation);
    case ENAMETOOLONG:
    case ELOOP:
      fail("ERR_FILE_NAME", "%s cannot be the name of a file (%s); choose another path", path.c_str(), reason);
    default:
      fail("ERR_FILE_IO", "%s: %s failed (%s)", path.c_str(), operation, reason);
  }
}

}  // namespace fles
