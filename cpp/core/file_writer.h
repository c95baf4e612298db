// A buffered file that counts what it wrote. `sync` makes it durable; `rename_durably` gives a finished path its name.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace fles {

class FileWriter {
 public:
  explicit FileWriter(const std::string& path);
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  void write(const void* data, size_t bytes);
  void sync();   // flush, fsync and close; every failure is an Error
  void close();  // the same without fsync, for scratch files
  uint64_t position() const { return position_; }

 private:
  void flush();
  std::string path_;
  int fd_;
  uint64_t position_ = 0;
  std::vector<uint8_t> buffer_;
};

// Renames within one directory and syncs that directory, so that after a crash the old name or the new one stands.
void rename_durably(const std::string& from, const std::string& to);
// The same for a file whose new name must be free, and for a directory whose new name must be free or an empty
// directory's; false, and nothing has happened, where it is not.
bool rename_if_free(const std::string& from, const std::string& to);
bool rename_directory_if_free(const std::string& from, const std::string& to);

}  // namespace fles
