#include "model/tensor_files.h"

#include <cmath>
#include <cstring>

#include "core/error.h"

namespace fles {
namespace {

float half_to_float(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000U) << 16;
  const uint32_t exponent = (h >> 10) & 0x1FU;
  uint32_t mantissa = h & 0x3FFU;
  uint32_t bits;
  if (exponent == 31) {
    bits = sign | 0x7F800000U | (mantissa << 13);
  } else if (exponent != 0) {
    bits = sign | ((exponent + 112) << 23) | (mantissa << 13);
  } else if (mantissa == 0) {
    bits = sign;
  } else {
    uint32_t shift = 0;
    for (; (mantissa & 0x400U) == 0; mantissa <<= 1) ++shift;
    bits = sign | ((113 - shift) << 23) | ((mantissa & 0x3FFU) << 13);
  }
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace

TensorFiles::TensorFiles(const std::vector<std::string>& files, const std::vector<TensorSource>& tensors) {
  for (const auto& path : files) files_.emplace_back(path);
  for (const auto& tensor : tensors) tensors_.emplace(tensor.name, &tensor);
}

void TensorReader::read(int64_t first, int64_t count, float* out) const {
  bool finite = true;
  if (tensor->type == StorageType::kF32) {
    std::memcpy(out, data + first * 4, count * 4);
  } else {
    for (int64_t i = 0; i < count; ++i) {
      uint16_t bits;
      std::memcpy(&bits, data + (first + i) * 2, 2);
      if (tensor->type == StorageType::kF16) {
        out[i] = half_to_float(bits);
      } else {
        const uint32_t wide = static_cast<uint32_t>(bits) << 16;
        std::memcpy(out + i, &wide, 4);
      }
    }
  }
  for (int64_t i = 0; i < count; ++i) finite &= std::isfinite(out[i]);
  if (!finite) {
    fail("ERR_WEIGHT_NOT_FINITE",
         "%s: tensor %s holds NaN or infinity, expected finite weights; use another checkpoint", path->c_str(),
         tensor->name.c_str());
  }
}

TensorReader TensorFiles::open(const std::string& name, const std::vector<int64_t>& shape) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    fail("ERR_TENSOR_MISSING", "%s: tensor %s is missing; the checkpoint is not of this architecture",
         files_.empty() ? "(no file)" : files_[0].path().c_str(), name.c_str());
  }
  const TensorSource& tensor = *found->second;
  if (tensor.file < 0 || tensor.file >= static_cast<int>(files_.size())) {
    fail("ERR_TENSOR_MISSING", "tensor %s names file %d of %zu", name.c_str(), tensor.file, files_.size());
  }
  const MappedFile& file = files_[tensor.file];
  uint64_t elements = 1;
  for (const int64_t size : shape) elements *= static_cast<uint64_t>(size);
  if (tensor.shape != shape) {
    std::string seen, expected;
    for (const int64_t size : tensor.shape) seen += (seen.empty() ? "" : ", ") + std::to_string(size);
    for (const int64_t size : shape) expected += (expected.empty() ? "" : ", ") + std::to_string(size);
    fail("ERR_TENSOR_SHAPE", "%s: tensor %s has shape [%s], expected [%s] by the config", file.path().c_str(),
         name.c_str(), seen.c_str(), expected.c_str());
  }
  const uint64_t width = tensor.type == StorageType::kF32 ? 4 : 2;
  return {&tensor, &file.path(), file.slice(tensor.offset, elements * width, name.c_str())};
}

}  // namespace fles
