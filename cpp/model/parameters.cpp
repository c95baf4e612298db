#include "model/parameters.h"

#include <algorithm>

#include "core/error.h"
#include "core/threads.h"

namespace fles {
namespace {

class Loader {
 public:
  Loader(const Backend& backend, const ModelSource& source)
      : backend_(backend), type_(product_type(backend, source.type)), tensors_(source.files, source.tensors) {}

  bool has(const std::string& name) const { return tensors_.has(name); }

  // A whole tensor in the backend's memory; only its first `rows` rows when given.
  Buffer vector(const std::string& name, std::vector<int64_t> shape, int64_t rows = -1) {
    const TensorReader reader = tensors_.open(name, shape);
    const int64_t total = rows < 0 ? shape[0] : rows;
    const int64_t columns = shape.size() == 2 ? shape[1] : 1;
    Buffer buffer = allocate(total * columns);
    for_chunks(total, columns, [&](int64_t first, int64_t count, float* part) {
      reader.read(first * columns, count * columns, part);
      backend_.upload(backend_.self, buffer.data() + first * columns, part, count * columns * sizeof(float));
    });
    return buffer;
  }

  // The matrices stacked by rows in one packed matrix: each [rows, K].
  std::shared_ptr<PackedMatrix> packed(const std::vector<std::string>& names, int64_t rows, int64_t K, DataType type) {
    const int64_t N = rows * static_cast<int64_t>(names.size());
    const Backend& backend = backend_;
    std::shared_ptr<PackedMatrix> matrix(
        backend.create_packed(backend.self, static_cast<int>(N), static_cast<int>(K), type),
        [&backend](PackedMatrix* m) { backend.release_packed(backend.self, m); });
    bytes_ += static_cast<size_t>(N) * K * bytes_of(type);
    for (size_t i = 0; i < names.size(); ++i) {
      const TensorReader reader = tensors_.open(names[i], {rows, K});
      for_chunks(rows, K, [&](int64_t first, int64_t count, float* part) {
        reader.read(first * K, count * K, part);
        backend.pack_rows(backend.self, matrix.get(), part, static_cast<int>(static_cast<int64_t>(i) * rows + first),
                          static_cast<int>(count));
      });
    }
    return matrix;
  }
  std::shared_ptr<PackedMatrix> packed(const std::vector<std::string>& names, int64_t rows, int64_t K) {
    return packed(names, rows, K, type_);
  }

  Buffer stacked_bias(const std::vector<std::string>& names, int64_t rows) {
    Buffer buffer = allocate(rows * static_cast<int64_t>(names.size()));
    std::vector<float> part(rows);
    for (size_t i = 0; i < names.size(); ++i) {
      tensors_.open(names[i], {rows}).read(0, rows, part.data());
      backend_.upload(backend_.self, buffer.data() + static_cast<int64_t>(i) * rows, part.data(), rows * sizeof(float));
    }
    return buffer;
  }

  Linear linear(const std::string& name, int64_t N, int64_t K) {
    return {packed({name + ".weight"}, N, K), vector(name + ".bias", {N})};
  }
  Norm norm(const std::string& name, int64_t C) { return {vector(name + ".weight", {C}), vector(name + ".bias", {C})}; }

  size_t bytes() const { return bytes_; }

 private:
  Buffer allocate(int64_t floats) {
    bytes_ += static_cast<size_t>(floats) * sizeof(float);
    return {backend_, static_cast<size_t>(floats)};
  }

  // body(first row, rows, room for them as float32) over all rows, on all threads.
  template <class Body>
  void for_chunks(int64_t rows, int64_t columns, Body&& body) const {
    const int64_t chunk =
        std::max<int64_t>(1, std::min<int64_t>(rows, (int64_t{1} << 17) / std::max<int64_t>(1, columns)));
    ThreadPool& pool = ThreadPool::shared();
    std::vector<std::vector<float>> room(pool.size());
    pool.parallel_for((rows + chunk - 1) / chunk, [&](int64_t i, int thread) {
      room[thread].resize(chunk * columns);
      const int64_t first = i * chunk;
      body(first, std::min(chunk, rows - first), room[thread].data());
    });
  }

  const Backend& backend_;
  DataType type_;
  TensorFiles tensors_;
  size_t bytes_ = 0;
};

}  // namespace

void check_config(const ModelConfig& c) {
  const auto check = [](const char* name, int64_t value, int64_t low, int64_t high) {
    if (value < low || value > high) {
      fail("ERR_CONFIG_VALUE", "%s is %lld, expected %lld..%lld", name, static_cast<long long>(value),
           static_cast<long long>(low), static_cast<long long>(high));
    }
  };
  check("vocabulary size", c.vocabulary_size, 1, 1 << 24);
  check("hidden size", c.hidden_size, 1, 1 << 16);
  check("layers", c.layers, 0, 1 << 10);
  check("heads", c.heads, 1, c.hidden_size);
  check("intermediate size", c.intermediate_size, 1, 1 << 20);
  check("positions", c.max_positions, 1, 1 << 20);
  check("token types", c.type_vocabulary_size, 0, 1 << 10);
  if (c.hidden_size % c.heads != 0) {
    fail("ERR_CONFIG_VALUE", "hidden size %d is not a multiple of %d heads", c.hidden_size, c.heads);
  }
}

Buffer::Buffer(const Backend& backend, size_t floats)
    : memory_(static_cast<float*>(backend.allocate(backend.self, floats * sizeof(float))),
              [&backend](float* memory) { backend.release(backend.self, memory); }) {}

Parameters load_parameters(const Backend& backend, const ModelSource& source) {
  const ModelConfig& c = source.config;
  check_config(c);
  Loader load(backend, source);
  Parameters p;
  p.config = c;
  const int64_t C = c.hidden_size, V = c.vocabulary_size;
  p.word = load.vector("embeddings.word.weight", {V, C});
  p.position = load.vector("embeddings.position.weight", {c.max_positions, C});
  // Every token has type 0 here, so one row of the table is enough.
  if (c.type_vocabulary_size > 0) p.type = load.vector("embeddings.type.weight", {c.type_vocabulary_size, C}, 1);
  p.embedding_norm = load.norm("embeddings.norm", C);
  for (int n = 0; n < c.layers; ++n) {
    const std::string layer = "layers." + std::to_string(n);
    const std::string attention = layer + ".attention";
    LayerParameters l;
    l.qkv.weight =
        load.packed({attention + ".query.weight", attention + ".key.weight", attention + ".value.weight"}, C, C);
    l.qkv.bias = load.stacked_bias({attention + ".query.bias", attention + ".key.bias", attention + ".value.bias"}, C);
    l.attention_out = load.linear(attention + ".output", C, C);
    l.attention_norm = load.norm(attention + ".norm", C);
    l.feedforward_in = load.linear(layer + ".feedforward.in", c.intermediate_size, C);
    l.feedforward_out = load.linear(layer + ".feedforward.out", C, c.intermediate_size);
    l.feedforward_norm = load.norm(layer + ".feedforward.norm", C);
    p.layers.push_back(std::move(l));
  }
  if (source.with_head) {
    p.transform = load.linear("head.transform", C, C);
    p.head_norm = load.norm("head.norm", C);
    const char* decoder = load.has("head.decoder.weight") ? "head.decoder.weight" : "embeddings.word.weight";
    p.decoder = {load.packed({decoder}, V, C), load.vector("head.bias", {V})};
    if (source.type != DataType::kInt8 && backend.screens) p.screen = load.packed({decoder}, V, C, DataType::kInt8);
  }
  p.bytes = load.bytes();
  return p;
}

}  // namespace fles
