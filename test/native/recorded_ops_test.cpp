// What the tests of the ops (test/ops) run and expect, again on every level of this processor: their cases, with
// references in float64 and what each value may differ by, as test/support/record-ops.ts writes them. FLES_OP_RECORDS
// names the folder; without it there are no such tests, for where test/ops runs itself they would show nothing more.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "cpu/backend_cpu.h"
#include "cpu/levels.h"

namespace fles {
namespace {

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : file_(path, std::ios::binary) {
    file_.exceptions(file_.failbit);
  }
  bool at_end() { return file_.peek() == std::ifstream::traits_type::eof(); }
  template <class T>
  T value() {
    T x;
    file_.read(reinterpret_cast<char*>(&x), sizeof(T));
    return x;
  }
  std::string text() {
    std::string s(value<int32_t>(), '\0');
    file_.read(s.data(), static_cast<std::streamsize>(s.size()));
    return s;
  }
  template <class T>
  std::vector<T> array(size_t element = sizeof(T)) {
    std::vector<T> x(value<int32_t>() * element / sizeof(T));
    file_.read(reinterpret_cast<char*>(x.data()), static_cast<std::streamsize>(x.size() * sizeof(T)));
    return x;
  }

 private:
  std::ifstream file_;
};

struct Argument {
  char kind = '0';  // absent, number, string, array
  double number = 0;
  std::string text;
  std::vector<char> bytes;
};

struct Expected {
  std::string name;
  std::vector<double> values, allowed;
};

struct OpRun {
  std::string name, op;
  std::map<std::string, Argument> arguments;
  std::vector<Expected> expected;
};

OpRun read_run(Reader& reader) {
  OpRun run;
  run.name = reader.text();
  run.op = reader.text();
  for (int left = reader.value<int32_t>(); left > 0; --left) {
    Argument& argument = run.arguments[reader.text()];
    argument.kind = reader.value<char>();
    if (argument.kind == 'n') argument.number = reader.value<double>();
    if (argument.kind == 's') argument.text = reader.text();
    if (argument.kind == 'a') argument.bytes = reader.array<char>(reader.value<int32_t>());
  }
  run.expected.resize(reader.value<int32_t>());
  for (Expected& e : run.expected) {
    e.name = reader.text();
    e.values = reader.array<double>();
    e.allowed = reader.array<double>();
  }
  return run;
}

// Fills an op's arguments from a run by the calls that ops/fields.h lists, in the backend's memory.
class Arguments {
 public:
  Arguments(const Backend& backend, OpRun& run) : backend_(backend), run_(run) {}
  ~Arguments() {
    for (void* memory : held_) backend_.release(backend_.self, memory);
    for (PackedMatrix* matrix : packed_) backend_.release_packed(backend_.self, matrix);
  }
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;

  void size(const char* name, int& value) { value = static_cast<int>(at(name).number); }
  void number(const char* name, float& value) { value = static_cast<float>(at(name).number); }
  template <class Enum>
  void choice(const char* name, Enum& value, std::initializer_list<const char*> names) {
    const auto* const known = std::find(names.begin(), names.end(), at(name).text);
    ASSERT_NE(known, names.end()) << name;
    value = static_cast<Enum>(known - names.begin());
  }
  void product_type(const char* name, DataType& type) { choice(name, type, kDataTypeNames); }
  template <class Enum>
  void optional_choice(const char* name, Enum& value, std::initializer_list<const char*> names) {
    if (run_.arguments.contains(name)) choice(name, value, names);
  }
  template <class T>
  void input(const char* name, const T*& pointer, int64_t count) {
    const std::vector<char>& bytes = at(name).bytes;
    ASSERT_EQ(bytes.size(), count * sizeof(T)) << name;
    void* memory = backend_.allocate(backend_.self, bytes.size());
    held_.push_back(memory);
    backend_.upload(backend_.self, memory, bytes.data(), bytes.size());
    pointer = static_cast<const T*>(memory);
  }
  void host(const char* name, const int32_t*& pointer, int64_t count) {
    const std::vector<char>& bytes = at(name).bytes;
    ASSERT_EQ(bytes.size(), count * sizeof(int32_t)) << name;
    pointer = reinterpret_cast<const int32_t*>(bytes.data());
  }
  template <class T>
  void optional(const char* name, const T*& pointer, int64_t count) {
    pointer = nullptr;
    if (run_.arguments.contains(name) && at(name).kind != '0') input(name, pointer, count);
  }
  template <class T>
  void output(const char* name, T*& pointer, int64_t count) {
    const T* memory = nullptr;
    input(name, memory, count);
    pointer = const_cast<T*>(memory);
    outputs_[name] = [this, memory, count] {
      std::vector<T> values(count);
      backend_.download(backend_.self, values.data(), memory, count * sizeof(T));
      return std::vector<double>(values.begin(), values.end());
    };
  }
  template <class T>
  void optional_output(const char* name, T*& pointer, int64_t count) {
    pointer = nullptr;
    if (run_.arguments.contains(name) && at(name).kind != '0') output(name, pointer, count);
  }
  void weight(const char* name, const PackedMatrix*& matrix, int N, int K) {
    DataType type = DataType::kFloat32;
    if (run_.arguments.contains("dtype")) choice("dtype", type, kDataTypeNames);
    pack(name, matrix, N, K, type);
  }
  void optional_weight(const char* name, const PackedMatrix*& matrix, int N, int K, DataType type) {
    matrix = nullptr;
    if (run_.arguments.contains(name) && at(name).kind != '0') pack(name, matrix, N, K, type);
  }

  std::vector<double> result(const std::string& name) const { return outputs_.at(name)(); }

 private:
  const Argument& at(const char* name) const { return run_.arguments.at(name); }
  void pack(const char* name, const PackedMatrix*& matrix, int N, int K, DataType type) {
    const float* rows = nullptr;
    input(name, rows, int64_t{N} * K);
    PackedMatrix* packed = backend_.create_packed(backend_.self, N, K, type);
    packed_.push_back(packed);
    backend_.pack_rows(backend_.self, packed, rows, 0, N);
    matrix = packed;
  }

  const Backend& backend_;
  OpRun& run_;
  std::vector<void*> held_;
  std::vector<PackedMatrix*> packed_;
  std::map<std::string, std::function<std::vector<double>()>> outputs_;
};

void run_op(const Backend& backend, Arguments& from, const std::string& name) {
#define FLES_OP(op, Struct)                       \
  if (name == #op) {                              \
    Struct arguments{};                           \
    fields(from, arguments);                      \
    if (testing::Test::HasFatalFailure()) return; \
    return backend.op(backend.self, arguments);   \
  }
#include "ops/ops.def"
#undef FLES_OP
  FAIL() << "no op " << name;
}

// What is allowed is twice the error of plain loops in float32. The bfloat16 dot product of Arm rounds to odd where
// those round to the nearest (Arm Architecture Reference Manual, BFDotAdd): its steps err by up to twice as much.
double slack(const OpRun& run) {
  const auto dtype = run.arguments.find("dtype");
  return dtype != run.arguments.end() && dtype->second.text == "bfloat16" ? 2 : 1;
}

void expect_near(const std::vector<double>& actual, const Expected& expected, double slack) {
  ASSERT_EQ(actual.size(), expected.values.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    const double a = actual[i], e = expected.values[i];
    if (a == e || (std::isnan(a) && std::isnan(e))) continue;
    ASSERT_LE(std::abs(a - e), slack * expected.allowed[i]) << "value " << i << " is " << a << ", expected " << e;
  }
}

// A level, and the file of what one file of test/ops expects.
class RecordedOps : public testing::TestWithParam<std::tuple<std::string, std::string>> {};

std::vector<std::string> levels() {
  std::vector<std::string> names;
  for (const cpu::Kernels* kernels : cpu::usable_kernels()) names.emplace_back(kernels->name);
  return names;
}

std::vector<std::string> files() {
  std::vector<std::string> paths;
  const char* folder = std::getenv("FLES_OP_RECORDS");
  if (folder == nullptr) return paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

TEST_P(RecordedOps, GiveWhatTheirTestsExpect) {
  const auto& [level, path] = GetParam();
  const Backend& backend = cpu::backend_at(level);
  Reader reader(path);
  ASSERT_FALSE(reader.at_end());
  while (!reader.at_end()) {
    OpRun run = read_run(reader);
    SCOPED_TRACE(run.name);
    Arguments arguments(backend, run);
    run_op(backend, arguments, run.op);
    for (const Expected& expected : run.expected) {
      if (HasFatalFailure()) return;
      SCOPED_TRACE(expected.name);
      expect_near(arguments.result(expected.name), expected, slack(run));
    }
  }
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RecordedOps);
INSTANTIATE_TEST_SUITE_P(Ops, RecordedOps, testing::Combine(testing::ValuesIn(levels()), testing::ValuesIn(files())),
                         [](const auto& info) {
                           return std::filesystem::path(std::get<1>(info.param)).stem().string() + "_on_" +
                                  std::get<0>(info.param);
                         });

}  // namespace
}  // namespace fles
