#include "emulate/log.h"

#include <cstdarg>
#include <cstdio>

#include "emulate/configuration.h"

namespace emulate {
namespace {

std::FILE* open_log() {
  const std::string& path = configuration().log;
  return path.empty() ? nullptr : std::fopen(path.c_str(), "a");
}

int this_thread() {
  static int threads = 0;
  static thread_local const int number = threads++;
  return number;
}

}  // namespace

void log(const char* format, ...) {
  static std::FILE* const file = open_log();  // never closed: the process may end while others use it
  if (file == nullptr) return;
  std::fprintf(file, "%d ", this_thread());
  std::va_list arguments;
  va_start(arguments, format);
  std::vfprintf(file, format, arguments);
  va_end(arguments);
  std::fputc('\n', file);
  std::fflush(file);
}

void log_wait(bool for_work) { log(for_work ? "wait for work" : "wait"); }

}  // namespace emulate
