// Runs any op of the table on any backend with arguments from JavaScript: for tests and benchmarks.
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/registry.h"
#include "cpu/backend_cpu.h"
#include "node/arguments.h"
#include "node/async.h"
#include "node/exports.h"

namespace fles::node {
namespace {

// Fills an argument struct from an object by the calls that ops/fields.h lists, and copies the outputs back.
class Door {
 public:
  Door(const Backend& backend, Napi::Object object) : backend_(backend), object_(object) {}
  ~Door() {
    for (void* memory : held_) backend_.release(backend_.self, memory);
    for (PackedMatrix* matrix : packed_) backend_.release_packed(backend_.self, matrix);
  }
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;

  void size(const char* name, int& value) {
    value = integer_at(object_, name);
    if (value < 0) fail("ERR_ARGUMENT_VALUE", "%s is %d, expected 0 or more", name, value);
  }
  void number(const char* name, float& value) { value = static_cast<float>(number_at(object_, name)); }
  template <class Enum>
  void choice(const char* name, Enum& value, std::initializer_list<const char*> names) {
    value = choice_at<Enum>(object_, name, names);
  }
  void product_type(const char* name, DataType& type) { type = choice_at<DataType>(object_, name, kDataTypeNames); }
  template <class Enum>
  void optional_choice(const char* name, Enum& value, std::initializer_list<const char*> names) {
    if (!absent(name)) choice(name, value, names);
  }
  template <class T>
  void input(const char* name, const T*& pointer, int64_t count) {
    std::vector<T> values = array_of<T>(object_.Get(name), name);
    check(name, static_cast<int64_t>(values.size()), count);
    T* memory = take<T>(count);
    backend_.upload(backend_.self, memory, values.data(), values.size() * sizeof(T));
    pointer = memory;
  }
  void host(const char* name, const int32_t*& pointer, int64_t count) {
    std::vector<int32_t>& values = host_.emplace_back(array_of<int32_t>(object_.Get(name), name));
    check(name, static_cast<int64_t>(values.size()), count);
    pointer = values.data();
  }
  template <class T>
  void optional(const char* name, const T*& pointer, int64_t count) {
    pointer = nullptr;
    if (!absent(name)) input(name, pointer, count);
  }
  // The caller passes the array to fill; what stands in it is what the op finds.
  template <class T>
  void output(const char* name, T*& pointer, int64_t count) {
    const T* memory = nullptr;
    input(name, memory, count);
    pointer = const_cast<T*>(memory);
    outputs_.push_back({object_.Get(name), pointer, static_cast<size_t>(count) * sizeof(T)});
    if (count > 0) written_ = pointer;
  }
  template <class T>
  void optional_output(const char* name, T*& pointer, int64_t count) {
    pointer = nullptr;
    if (!absent(name)) output(name, pointer, count);
  }
  void weight(const char* name, const PackedMatrix*& matrix, int N, int K) {
    const auto type = absent("dtype") ? DataType::kFloat32 : choice_at<DataType>(object_, "dtype", kDataTypeNames);
    pack(name, matrix, N, K, type);
  }
  void optional_weight(const char* name, const PackedMatrix*& matrix, int N, int K, DataType type) {
    matrix = nullptr;
    if (!absent(name)) pack(name, matrix, N, K, type);
  }

  // Waits until the ops that were run have been done.
  void wait() const {
    uint8_t byte = 0;
    if (written_ != nullptr) backend_.download(backend_.self, &byte, written_, sizeof byte);
  }

  // What JavaScript passed may not be used after the call that passed it.
  void forget_arguments() {
    outputs_.clear();
    object_ = Napi::Object();
  }

  void finish() {
    for (const auto& out : outputs_) {
      auto array = out.array.As<Napi::TypedArray>();
      auto* bytes = static_cast<uint8_t*>(array.ArrayBuffer().Data()) + array.ByteOffset();
      backend_.download(backend_.self, bytes, out.memory, out.bytes);
    }
  }

 private:
  struct Output {
    Napi::Value array;
    void* memory;
    size_t bytes;
  };

  bool absent(const char* name) const {
    const Napi::Value value = object_.Get(name);
    return value.IsUndefined() || value.IsNull();
  }
  static void check(const char* name, int64_t seen, int64_t expected) {
    if (seen != expected) {
      fail("ERR_ARGUMENT_LENGTH", "%s has %lld values, expected %lld", name, static_cast<long long>(seen),
           static_cast<long long>(expected));
    }
  }
  void pack(const char* name, const PackedMatrix*& matrix, int N, int K, DataType type) {
    const std::vector<float> values = array_of<float>(object_.Get(name), name);
    check(name, static_cast<int64_t>(values.size()), int64_t{N} * K);
    PackedMatrix* packed = backend_.create_packed(backend_.self, N, K, type);
    packed_.push_back(packed);
    backend_.pack_rows(backend_.self, packed, values.data(), 0, N);
    matrix = packed;
  }
  template <class T>
  T* take(int64_t count) {
    void* memory = backend_.allocate(backend_.self, static_cast<size_t>(count) * sizeof(T));
    held_.push_back(memory);
    return static_cast<T*>(memory);
  }

  const Backend& backend_;
  Napi::Object object_;
  std::vector<void*> held_;
  std::deque<std::vector<int32_t>> host_;
  std::vector<PackedMatrix*> packed_;
  std::vector<Output> outputs_;
  const void* written_ = nullptr;  // an output that is not empty
};

const Backend& backend_named(const std::string& device) {
  return device.rfind("cpu:", 0) == 0 ? cpu::backend_at(device.substr(4)) : backend_for(device);
}

// An op with its arguments in the backend's memory, ready to run any number of times.
struct ReadyOp {
  ReadyOp(const Backend& backend, const std::string& name, Napi::Object object) : door(backend, object) {
#define FLES_OP(op, Arguments)                                            \
  if (name == #op) {                                                      \
    Arguments arguments{};                                                \
    fields(door, arguments);                                              \
    run = [&backend, arguments] { backend.op(backend.self, arguments); }; \
    return;                                                               \
  }
#include "ops/ops.def"
#undef FLES_OP
    fail("ERR_OP_UNKNOWN", "op \"%s\" is not in the table", name.c_str());
  }

  Door door;
  std::function<void()> run;
};

// runOp(device: string, op: string, args: object): void   fills the output arrays in `args`; the device is "auto",
// "cpu", "cuda", or a CPU level such as "cpu:avx2"
Napi::Value run_op(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    ReadyOp ready(backend_named(info[0].ToString()), info[1].ToString(), info[2].As<Napi::Object>());
    ready.run();
    ready.door.finish();
    return env.Undefined();
  });
}

// prepareOp(device: string, op: string, args: object): (runs?: number) => void   what it returns runs the op so many
// times, once by default, on the same memory and waits until the device has done it; nothing comes back to `args`
Napi::Value prepare_op(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    auto ready =
        std::make_shared<ReadyOp>(backend_named(info[0].ToString()), info[1].ToString(), info[2].As<Napi::Object>());
    ready->door.forget_arguments();
    const auto run = [ready](const Napi::CallbackInfo& call) {
      guarded(call.Env(), [&] {
        const int64_t runs = call[0].IsUndefined() ? 1 : call[0].ToNumber().Int64Value();
        for (int64_t i = 0; i < runs; ++i) ready->run();
        ready->door.wait();
      });
    };
    return Napi::Function::New(env, run, "run");
  });
}

// opNames(): string[]
Napi::Value op_names(const Napi::CallbackInfo& info) {
  Napi::Array names = Napi::Array::New(info.Env());
#define FLES_OP(op, Arguments) names[names.Length()] = Napi::String::New(info.Env(), #op);
#include "ops/ops.def"
#undef FLES_OP
  return names;
}

}  // namespace

void export_op_door(Napi::Env env, Napi::Object exports) {
  exports.Set("prepareOp", Napi::Function::New(env, prepare_op, "prepareOp"));
  exports.Set("runOp", Napi::Function::New(env, run_op, "runOp"));
  exports.Set("opNames", Napi::Function::New(env, op_names, "opNames"));
}

}  // namespace fles::node
