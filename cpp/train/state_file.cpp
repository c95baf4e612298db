// Weights and moments to files and back.
#include <unistd.h>

#include <algorithm>

#include "core/error.h"
#include "core/file_writer.h"
#include "train/trainer.h"

namespace fles {
namespace {

const float* arena_of(const TrainableModel& model, const std::string& name) {
  if (name == "weights") return model.weights.data();
  if (name == "gradients") return model.gradients.data();
  if (name == "first") return model.first.data();
  if (name == "second") return model.second.data();
  fail("ERR_ARGUMENT_VALUE", "part \"%s\" is unknown, expected weights | gradients | first | second", name.c_str());
}

}  // namespace

void Trainer::save(const std::string& path, const std::string& header, const std::vector<std::string>& parts) {
  struct Part {
    const float* values;
    int64_t count;
  };
  const std::scoped_lock held(one_call_);
  if (!has_gradient_) clear_gradients();
  std::vector<Part> found;
  for (const std::string& part : parts) {
    const size_t slash = part.find('/');
    if (slash == std::string::npos) fail("ERR_ARGUMENT_VALUE", "part \"%s\" is not ARENA/NAME", part.c_str());
    const TrainableTensor& tensor = model_.tensor(part.substr(slash + 1));
    found.push_back({arena_of(model_, part.substr(0, slash)) + tensor.offset, tensor.count});
  }
  const std::string temporary = path + ".tmp";
  try {
    FileWriter file(temporary);
    uint8_t length[8];
    for (int i = 0; i < 8; ++i) length[i] = static_cast<uint8_t>(static_cast<uint64_t>(header.size()) >> (8 * i));
    file.write(length, sizeof length);
    file.write(header.data(), header.size());
    std::vector<float> chunk(1 << 18);
    for (const Part& part : found) {
      for (int64_t first = 0; first < part.count; first += static_cast<int64_t>(chunk.size())) {
        const size_t bytes =
            static_cast<size_t>(std::min(part.count - first, static_cast<int64_t>(chunk.size()))) * sizeof(float);
        backend().download(backend().self, chunk.data(), part.values + first, bytes);
        file.write(chunk.data(), bytes);
      }
    }
    file.sync();
    rename_durably(temporary, path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

void Trainer::load(const std::vector<std::string>& files, const std::vector<TensorSource>& tensors, int64_t steps) {
  if (steps < 0) fail("ERR_ARGUMENT_VALUE", "steps is %lld, expected 0 or more", static_cast<long long>(steps));
  const std::scoped_lock held(one_call_);
  live_ = false;
  model_.load_state(files, tensors);
  steps_ = steps;
}

}  // namespace fles
