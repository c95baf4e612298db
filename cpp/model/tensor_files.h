// Tensors in memory-mapped safetensors files. lib/model has read the headers; every range is checked against the file
// again here, and every value to be finite.
#pragma once
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/mapped_file.h"

namespace fles {

enum class StorageType : int32_t { kF32, kF16, kBF16 };

struct TensorSource {
  std::string name;  // canonical, as in docs/models.md
  int file = 0;
  StorageType type = StorageType::kF32;
  uint64_t offset = 0;  // of the first byte in the file
  std::vector<int64_t> shape;
};

// Values of one tensor as float32.
struct TensorReader {
  const TensorSource* tensor;
  const std::string* path;
  const uint8_t* data;

  void read(int64_t first, int64_t count, float* out) const;  // ERR_WEIGHT_NOT_FINITE
};

class TensorFiles {
 public:
  // The descriptions must outlive the object.
  TensorFiles(const std::vector<std::string>& files, const std::vector<TensorSource>& tensors);

  bool has(const std::string& name) const { return tensors_.count(name) != 0; }
  // ERR_TENSOR_MISSING, ERR_TENSOR_SHAPE, ERR_FILE_TRUNCATED, each naming file and tensor.
  TensorReader open(const std::string& name, const std::vector<int64_t>& shape) const;

 private:
  std::vector<MappedFile> files_;
  std::unordered_map<std::string, const TensorSource*> tensors_;
};

}  // namespace fles
