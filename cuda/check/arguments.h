// Fills an op's arguments at random, by the calls that ops/fields.h lists, the same on any backend.
#pragma once
#include <cstring>
#include <functional>
#include <initializer_list>
#include <map>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "backend/backend.h"
#include "core/error.h"

namespace fles::check {

// Sizes of an op and the lengths of its texts, which add up to T. Variant counts through the names of every choice.
struct Shape {
  std::string name;
  std::map<std::string, int> sizes;
  std::vector<int32_t> offsets;
  int variant = 0;
  int shift = 0;  // values before the first of an array: an array may begin at any
};

class Arguments {
 public:
  // What an op has written, as numbers.
  struct Output {
    std::string name;
    bool whole;  // integers
    std::vector<double> values;
  };

  Arguments(const Backend& backend, const Shape& shape) : backend_(backend), shape_(shape) {}
  ~Arguments() {
    for (void* memory : held_) backend_.release(backend_.self, memory);
    for (PackedMatrix* matrix : packed_) backend_.release_packed(backend_.self, matrix);
  }
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;

  void size(const char* name, int& value) {
    const auto known = shape_.sizes.find(name);
    value = known == shape_.sizes.end() ? std::string(name) == "normalize" : known->second;
  }
  void number(const char* name, float& value) {
    static const std::map<std::string, float> kNumbers = {
        {"beta1", 0.9f}, {"beta2", 0.999f}, {"correction1", 0.1f}, {"correction2", 0.001f}, {"eps", 1e-8f},
        {"rate", 1e-3f}, {"scale", 0.5f},   {"threshold", 0.1f},   {"margin", 0.5f},        {"dropout", 0.1f}};
    const auto known = kNumbers.find(name);
    value = known == kNumbers.end() ? 0.0f : known->second;
  }
  template <class Enum>
  void choice(const char* name, Enum& value, std::initializer_list<const char*> names) {
    value = static_cast<Enum>(shape_.variant % static_cast<int>(names.size()));
    if (std::string(name) == "pooling") takes_maximum_ = shape_.variant % static_cast<int>(names.size()) == 0;
  }
  void product_type(const char*, DataType& type) { type = static_cast<DataType>(shape_.variant % 2); }
  template <class Enum>
  void optional_choice(const char*, Enum&, std::initializer_list<const char*>) {}
  template <class T>
  void input(const char* name, const T*& pointer, int64_t count) {
    std::vector<T> values(count);
    for (int64_t i = 0; i < count; ++i) values[i] = value<T>(name, i);
    void* memory = backend_.allocate(backend_.self, (shape_.shift + values.size()) * sizeof(T));
    held_.push_back(memory);
    T* first = static_cast<T*>(memory) + shape_.shift;
    backend_.upload(backend_.self, first, values.data(), values.size() * sizeof(T));
    pointer = first;
  }
  void host(const char*, const int32_t*& pointer, int64_t) { pointer = shape_.offsets.data(); }
  template <class T>
  void optional(const char* name, const T*& pointer, int64_t count) {
    pointer = nullptr;
    if (takes_maximum_ || std::string(name) != "argmax") input(name, pointer, count);
  }
  template <class T>
  void output(const char* name, T*& pointer, int64_t count) {
    const T* memory = nullptr;
    input(name, memory, count);
    pointer = const_cast<T*>(memory);
    outputs_.push_back({name, std::is_integral_v<T>, count, [this, memory](int64_t n) {
                          std::vector<T> values(n);
                          backend_.download(backend_.self, values.data(), memory, n * sizeof(T));
                          return std::vector<double>(values.begin(), values.end());
                        }});
  }
  template <class T>
  void optional_output(const char* name, T*& pointer, int64_t count) {
    pointer = nullptr;
    if (takes_maximum_ || std::string(name) != "argmax") output(name, pointer, count);
  }
  void weight(const char*, const PackedMatrix*& matrix, int N, int K) {
    const auto type = static_cast<DataType>(shape_.variant % kDeviceTypes);
    std::vector<float> rows(static_cast<size_t>(N) * K);
    for (float& x : rows) x = uniform_(random_);
    packed_.push_back(backend_.create_packed(backend_.self, N, K, type));
    backend_.pack_rows(backend_.self, packed_.back(), rows.data(), 0, N);
    matrix = packed_.back();
  }
  void optional_weight(const char*, const PackedMatrix*& matrix, int, int, DataType) { matrix = nullptr; }

  std::vector<Output> results() const {
    std::vector<Output> results;
    results.reserve(outputs_.size());
    for (const auto& out : outputs_) results.push_back({out.name, out.whole, out.read(out.count)});
    return results;
  }
  // Waits for what has been queued.
  void wait() const {
    if (!outputs_.empty()) (void)outputs_.front().read(1);
  }

 private:
  struct Written {
    std::string name;
    bool whole;
    int64_t count;
    std::function<std::vector<double>(int64_t)> read;
  };

  int at(const char* name) const { return shape_.sizes.at(name); }
  int text_of(int64_t row) const {
    const int last = static_cast<int>(shape_.offsets.size()) - 2;  // of outputs there may be more rows
    int text = 0;
    while (text < last && shape_.offsets[text + 1] <= row) ++text;
    return text;
  }

  template <class T>
  T value(const std::string& name, int64_t i) {
    if constexpr (std::is_same_v<T, float>) {
      const float x = uniform_(random_);
      return name == "second" ? x * x : x;
    } else if constexpr (std::is_same_v<T, uint8_t>) {
      return i % 5 == 0;
    } else {
      if (name == "tokens" || name == "labels") return static_cast<int32_t>(i * 7919 % at("V"));
      if (name == "text_ids") return static_cast<int32_t>(i % 2 == 0 ? i : -i);
      if (name == "rows") return static_cast<int32_t>(i * 2 % at("R"));                  // no row twice
      if (name == "terms") return static_cast<int32_t>(i - shape_.offsets[text_of(i)]);  // those of a text ascend
      if (name == "argmax") {
        const auto text = i / at("V");
        const int first = shape_.offsets[text], rows = shape_.offsets[text + 1] - first;
        return rows == 0 ? -1 : static_cast<int32_t>(first + i % rows);
      }
      return 7;
    }
  }

  const Backend& backend_;
  const Shape& shape_;
  bool takes_maximum_ = true;
  std::mt19937 random_{5};
  std::uniform_real_distribution<float> uniform_{-1.0f, 1.0f};
  std::vector<void*> held_;
  std::vector<PackedMatrix*> packed_;
  std::vector<Written> outputs_;
};

}  // namespace fles::check
