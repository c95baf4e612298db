#include "core/file_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/error.h"

namespace fles {
namespace {
constexpr size_t kBufferBytes = 1 << 20;
}

FileWriter::FileWriter(const std::string& path)
    : path_(path), fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
  if (fd_ < 0) fail_system("create", path, errno);
  buffer_.reserve(kBufferBytes);
}

FileWriter::~FileWriter() {
  if (fd_ >= 0) ::close(fd_);
}

void FileWriter::write(const void* data, size_t bytes) {
  const auto* from = static_cast<const uint8_t*>(data);
  position_ += bytes;
  while (bytes > 0) {
    const size_t room = kBufferBytes - buffer_.size();
    const size_t part = bytes < room ? bytes : room;
    buffer_.insert(buffer_.end(), from, from + part);
    from += part;
    bytes -= part;
    if (buffer_.size() == kBufferBytes) flush();
  }
}

void FileWriter::flush() {
  size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t written = ::write(fd_, buffer_.data() + done, buffer_.size() - done);
    if (written < 0) {
      if (errno == EINTR) continue;
      fail_system("write", path_, errno);
    }
    done += static_cast<size_t>(written);
  }
  buffer_.clear();
}

void FileWriter::sync() {
  flush();
  if (::fsync(fd_) != 0) fail_system("fsync", path_, errno);
  close();
}

void FileWriter::close() {
  flush();
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0) fail_system("close", path_, errno);
}

namespace {

// Makes what happened to a name in a directory last.
void sync_parent(const std::string& to) {
  const size_t slash = to.find_last_of('/');
  const std::string parent = slash == std::string::npos ? "." : slash == 0 ? "/" : to.substr(0, slash);
  const int fd = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  // The rename has succeeded by then: that a directory cannot be opened, or synced on some file systems, undoes
  // nothing.
  if (fd < 0) return;
  (void)::fsync(fd);
  ::close(fd);
}

}  // namespace

void rename_durably(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail_system("rename", to, errno);
  sync_parent(to);
}

bool rename_if_free(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) != 0) {
    if (errno == EEXIST || ::access(to.c_str(), F_OK) == 0) return false;
    rename_durably(from, to);  // a file system without hard links
    return true;
  }
  if (::unlink(from.c_str()) != 0) fail_system("remove", from, errno);
  sync_parent(to);
  return true;
}

bool rename_directory_if_free(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    if (errno == ENOTEMPTY || errno == EEXIST) return false;
    fail_system("rename", to, errno);
  }
  sync_parent(to);
  return true;
}

}  // namespace fles
