#include "train/trainable_model.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/threads.h"
#include "ops/random.h"

namespace fles {
namespace {

constexpr int64_t kAlign = 16;       // floats: tensors begin at cache lines
constexpr int64_t kChunk = 1 << 17;  // values handled at once
constexpr double kDeviation = 0.02;

int64_t elements(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return count;
}

bool is_matrix(const std::vector<int64_t>& shape) { return shape.size() == 2; }

// Values begin..begin+count of a tensor that begins at random: two a Philox block, by Box and Muller (1958).
void draw_normal(int seed, int tensor, int64_t begin, int64_t count, float* out) {
  constexpr double kTwoPi = 6.283185307179586;
  constexpr double kUnit = 1.0 / 4294967296.0;
  for (int64_t i = 0; i < count; ++i) {
    const auto pair = static_cast<uint64_t>(begin + i) / 2;
    const PhiloxBlock block = philox4x32_10({{static_cast<uint32_t>(pair), static_cast<uint32_t>(pair >> 32), 1, 0}},
                                            static_cast<uint32_t>(seed), static_cast<uint32_t>(tensor));
    const double radius = std::sqrt(-2.0 * std::log((block.word[0] + 1.0) * kUnit));
    const double angle = kTwoPi * (block.word[1] * kUnit);
    out[i] = static_cast<float>(kDeviation * radius * ((begin + i) % 2 == 0 ? std::cos(angle) : std::sin(angle)));
  }
}

// body(first, count, room for count floats) over all values, on all threads.
template <class Body>
void for_chunks(int64_t count, Body&& body) {
  ThreadPool& pool = ThreadPool::shared();
  std::vector<std::vector<float>> room(pool.size());
  pool.parallel_for((count + kChunk - 1) / kChunk, [&](int64_t i, int thread) {
    room[thread].resize(kChunk);
    body(i * kChunk, std::min(kChunk, count - i * kChunk), room[thread].data());
  });
}

}  // namespace

// Collects the tensors, then gives each its place.
class TrainableModel::Layout {
 public:
  explicit Layout(TrainableModel& model) : model_(model) {}

  // Tensors of one shape, one after the other, that `place` sees as one.
  void add(Trainable& place, const std::vector<std::string>& names, const std::vector<int64_t>& shape, bool decays) {
    groups_.push_back({&place, names, shape, decays});
  }
  void linear(TrainableLinear& layer, const std::vector<std::string>& names, int64_t rows, int64_t K) {
    std::vector<std::string> weights, biases;
    for (const auto& name : names) weights.push_back(name + ".weight"), biases.push_back(name + ".bias");
    add(layer.weight, weights, {rows, K}, true);
    add(layer.bias, biases, {rows}, false);
    layer.N = static_cast<int>(rows * static_cast<int64_t>(names.size()));
    layer.K = static_cast<int>(K);
    layer.slot = model_.slot(layer.N, layer.K, model_.product_type());
  }
  void norm(TrainableNorm& norm, const std::string& name, int64_t C) {
    add(norm.gamma, {name + ".weight"}, {C}, false);
    add(norm.beta, {name + ".bias"}, {C}, false);
  }

  void finish() {
    for (const bool decays : {true, false}) {
      for (const Group& group : groups_) {
        if (group.decays != decays) continue;
        places_.push_back({group.place, model_.count_});
        for (const auto& name : group.names) {
          const int64_t count = elements(group.shape);
          model_.tensors_.push_back({name, group.shape, model_.count_, count, decays});
          model_.count_ += count;
        }
        model_.count_ = (model_.count_ + kAlign - 1) / kAlign * kAlign;
      }
      if (decays) model_.decaying_ = model_.count_;
    }
    if (model_.count_ > INT32_MAX) {
      fail("ERR_MODEL_SIZE", "the model has %lld weights, expected at most 2147483647",
           static_cast<long long>(model_.count_));
    }
    const auto allocate = [&] {
      Buffer buffer(model_.backend_, static_cast<size_t>(model_.count_));
      model_.backend_.clear(model_.backend_.self, buffer.data(), static_cast<size_t>(model_.count_) * sizeof(float));
      return buffer;
    };
    model_.weights = allocate();
    model_.gradients = allocate();
    model_.first = allocate();
    model_.second = allocate();
    for (const auto& [place, offset] : places_) {
      *place = {model_.weights.data() + offset, model_.gradients.data() + offset};
    }
  }

 private:
  struct Group {
    Trainable* place;
    std::vector<std::string> names;
    std::vector<int64_t> shape;
    bool decays;
  };
  struct Place {
    Trainable* place;
    int64_t offset;
  };
  TrainableModel& model_;
  std::vector<Group> groups_;
  std::vector<Place> places_;
};

TrainableModel::TrainableModel(const Backend& backend, const ModelSource& source, DataType asked, Initialize initialize,
                               int seed)
    : backend_(backend),
      config_(source.config),
      product_type_(fles::product_type(backend, asked)),
      has_head_(source.with_head) {
  const ModelConfig& c = config_;
  check_config(c);
  const TensorFiles files(source.files, source.tensors);
  const int64_t C = c.hidden_size, V = c.vocabulary_size;
  layers.resize(c.layers);
  Layout layout(*this);
  layout.add(word, {"embeddings.word.weight"}, {V, C}, true);
  layout.add(position, {"embeddings.position.weight"}, {c.max_positions, C}, true);
  if (c.type_vocabulary_size > 0) layout.add(type, {"embeddings.type.weight"}, {c.type_vocabulary_size, C}, true);
  layout.norm(embedding_norm, "embeddings.norm", C);
  for (int n = 0; n < c.layers; ++n) {
    TrainableLayer& layer = layers[n];
    const std::string name = "layers." + std::to_string(n);
    layout.linear(layer.qkv, {name + ".attention.query", name + ".attention.key", name + ".attention.value"}, C, C);
    layout.linear(layer.attention_out, {name + ".attention.output"}, C, C);
    layout.norm(layer.attention_norm, name + ".attention.norm", C);
    layout.linear(layer.feedforward_in, {name + ".feedforward.in"}, c.intermediate_size, C);
    layout.linear(layer.feedforward_out, {name + ".feedforward.out"}, C, c.intermediate_size);
    layout.norm(layer.feedforward_norm, name + ".feedforward.norm", C);
  }
  const bool tied = !files.has("head.decoder.weight");
  if (has_head_) {
    layout.linear(transform, {"head.transform"}, C, C);
    layout.norm(head_norm, "head.norm", C);
    if (!tied) layout.add(decoder.weight, {"head.decoder.weight"}, {V, C}, true);
    layout.add(decoder.bias, {"head.bias"}, {V}, false);
  }
  layout.finish();
  if (has_head_) {
    if (tied) decoder.weight = word;
    decoder.N = static_cast<int>(V), decoder.K = static_cast<int>(C);
    decoder.slot = slot(decoder.N, decoder.K, product_type_);
    if (backend.screens) screen_ = slot(decoder.N, decoder.K, DataType::kInt8);
  }

  for (size_t i = 0; i < tensors_.size(); ++i) {
    const TrainableTensor& tensor = tensors_[i];
    const bool may_be_absent =
        initialize == Initialize::kAll || (initialize == Initialize::kHead && tensor.name.rfind("head.", 0) == 0);
    const bool absent = may_be_absent && !files.has(tensor.name);
    const bool is_gamma = tensor.name.ends_with("norm.weight");
    const TensorReader reader = absent ? TensorReader{} : files.open(tensor.name, tensor.shape);
    for_chunks(tensor.count, [&](int64_t first, int64_t count, float* part) {
      if (!absent) {
        reader.read(first, count, part);
      } else if (is_matrix(tensor.shape)) {
        draw_normal(seed, static_cast<int>(i), first, count, part);
      } else {
        std::fill(part, part + count, is_gamma ? 1.0f : 0.0f);
      }
      backend_.upload(backend_.self, weights.data() + tensor.offset + first, part, count * sizeof(float));
    });
  }
}

const TrainableTensor& TrainableModel::tensor(const std::string& name) const {
  const auto found =
      std::find_if(tensors_.begin(), tensors_.end(), [&](const TrainableTensor& t) { return t.name == name; });
  if (found == tensors_.end()) fail("ERR_TENSOR_MISSING", "the model has no tensor %s", name.c_str());
  return *found;
}

size_t TrainableModel::bytes() const { return 4 * static_cast<size_t>(count_) * sizeof(float) + packed_bytes_; }

std::shared_ptr<PackedSlot> TrainableModel::slot(int N, int K, DataType type) {
  for (const auto& known : slots_) {
    const PackedMatrix& matrix = *known->matrix;
    if (matrix.N == N && matrix.K == K && matrix.type == type) return known;
  }
  const Backend& backend = backend_;
  auto made = std::make_shared<PackedSlot>();
  made->matrix = {backend.create_packed(backend.self, N, K, type),
                  [&backend](PackedMatrix* matrix) { backend.release_packed(backend.self, matrix); }};
  packed_bytes_ += static_cast<size_t>(N) * K * bytes_of(type);
  slots_.push_back(made);
  return made;
}

const PackedMatrix* TrainableModel::packed(PackedSlot& slot, const TrainableLinear& layer) {
  if (slot.holds == layer.weight.value) return slot.matrix.get();
  slot.holds = nullptr;  // until all rows are there
  const int rows = backend_.rows_at_once;
  ThreadPool::shared().parallel_for((layer.N + rows - 1) / rows, [&](int64_t i, int) {
    const int first = static_cast<int>(i) * rows;
    backend_.pack_rows(backend_.self, slot.matrix.get(), layer.weight.value + int64_t{first} * layer.K, first,
                       std::min(rows, layer.N - first));
  });
  slot.holds = layer.weight.value;
  return slot.matrix.get();
}

void TrainableModel::forget_packed() {
  for (const auto& slot : slots_) slot->holds = nullptr;
}

void TrainableModel::load_state(const std::vector<std::string>& files, const std::vector<TensorSource>& sources) {
  const TensorFiles state(files, sources);
  const std::pair<const char*, float*> arenas[] = {
      {"weights/", weights.data()}, {"first/", first.data()}, {"second/", second.data()}};
  // Read once to see that every value is there and finite, and once to keep them.
  for (const bool keep : {false, true}) {
    for (const auto& [prefix, arena] : arenas) {
      for (const TrainableTensor& tensor : tensors_) {
        const TensorReader reader = state.open(prefix + tensor.name, tensor.shape);
        for_chunks(tensor.count, [&, to = arena + tensor.offset](int64_t begin, int64_t count, float* part) {
          reader.read(begin, count, part);
          if (keep) backend_.upload(backend_.self, to + begin, part, count * sizeof(float));
        });
      }
    }
  }
  forget_packed();
}

}  // namespace fles
