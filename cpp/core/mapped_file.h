// A whole file, mapped read-only. Opening validates that it is a regular file and takes its length once.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace fles {

class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  MappedFile& operator=(MappedFile&&) = delete;

  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  const std::string& path() const { return path_; }

  // `bytes` bytes from `offset`; ERR_FILE_TRUNCATED naming `what` when they are not all in the file.
  const uint8_t* slice(uint64_t offset, uint64_t bytes, const char* what) const;

 private:
  std::string path_;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace fles
