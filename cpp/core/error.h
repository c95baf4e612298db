// Errors with a stable code. `message` names the value seen, the value expected and the next step.
#pragma once
#include <exception>
#include <string>

namespace fles {

class Error : public std::exception {
 public:
  Error(std::string code, std::string message) : code_(std::move(code)), message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }
  const std::string& code() const { return code_; }

 private:
  std::string code_, message_;
};

// printf-style message; throws Error.
[[noreturn]] void fail(const char* code, const char* format, ...) __attribute__((format(printf, 2, 3)));

// Throws an Error for a failed system call on `path`: names the operation, the reason and what to do.
[[noreturn]] void fail_system(const char* operation, const std::string& path, int error_number);

}  // namespace fles
