// fles-cuda-check: every op of the CUDA backend against the CPU backend, or the time of each. Needs no Node:
//
//   fles-cuda-check LIBRARY [--json FILE] [--time [--tiny]] [--device N] [--op NAME]
//
// --time takes the sizes of BERT-base, with --tiny such as an emulated device does in seconds.
// Ends with 1 when an op differs by more than its arithmetic explains, or reports an error.
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "arguments.h"
#include "backend/cuda_library.h"
#include "backend/registry.h"

namespace fles::check {
namespace {

// Median and quartiles.
struct Spread {
  double median = -1, low = -1, high = -1;
};

struct Result {
  std::string op, shape;
  double error = 0, allowed = 0;  // largest difference of an output, in parts of its largest value
  Spread microseconds;            // of one run, when it was timed
  std::string failure;            // empty when all is well
};

std::vector<int32_t> offsets_of(const std::vector<int>& lengths) {
  std::vector<int32_t> offsets{0};
  for (const int length : lengths) offsets.push_back(offsets.back() + length);
  return offsets;
}

// The same with arrays that begin at no multiple of 16 bytes.
Shape shifted(Shape shape) {
  shape.name += " at odd addresses";
  shape.shift = 1;
  return shape;
}

Shape shape_of(std::string name, const std::vector<int>& lengths, std::map<std::string, int> sizes) {
  std::vector<int32_t> offsets = offsets_of(lengths);
  sizes["B"] = static_cast<int>(lengths.size());
  sizes["T"] = offsets.back();
  return {std::move(name), std::move(sizes), std::move(offsets)};
}

// Sizes that fill no tile, texts without tokens, the smallest that there are, and those that fill tiles and chunks, at
// any address too.
std::vector<Shape> checked_shapes() {
  const Shape tiles = shape_of("tiles", {64, 128, 1, 63},
                               {{"C", 128},
                                {"D", 8},
                                {"H", 2},
                                {"K", 128},
                                {"M", 4},
                                {"N", 256},
                                {"P", 128},
                                {"Q", 2},
                                {"R", 512},
                                {"V", 1000},
                                {"count", 4096},
                                {"k", 1000},
                                {"seed", 5}});
  return {
      shape_of("ragged", {3, 0, 17, 151, 0, 1},
               {{"C", 39},
                {"D", 9},
                {"H", 3},
                {"K", 45},
                {"M", 5},
                {"N", 172},
                {"P", 151},
                {"Q", 5},
                {"R", 400},
                {"V", 203},
                {"count", 70001},
                {"k", 7},
                {"seed", 77}}),
      shape_of("one token", {1},
               {{"C", 1},
                {"D", 1},
                {"H", 1},
                {"K", 1},
                {"M", 1},
                {"N", 1},
                {"P", 1},
                {"Q", 1},
                {"R", 3},
                {"V", 1},
                {"count", 1},
                {"k", 1},
                {"seed", 0}}),
      tiles,
      shifted(tiles),
      shape_of("wide heads", {70, 5},
               {{"C", 256},
                {"D", 8},
                {"H", 2},
                {"K", 64},
                {"M", 4},
                {"N", 75},
                {"P", 128},
                {"Q", 2},
                {"R", 512},
                {"V", 513},
                {"count", 33},
                {"k", 3},
                {"seed", 9}}),
      shape_of("rows of BERT", {3, 0, 37},
               {{"C", 768},
                {"D", 4},
                {"H", 12},
                {"K", 768},
                {"M", 3},
                {"N", 70},
                {"P", 41},
                {"Q", 2},
                {"R", 99},
                {"V", 150},
                {"count", 3000},
                {"k", 20},
                {"seed", 11}}),
      shape_of("1024 tokens", std::vector<int>(32, 32),
               {{"C", 8},
                {"D", 8},
                {"H", 2},
                {"K", 16},
                {"M", 32},
                {"N", 1024},
                {"P", 32},
                {"Q", 2},
                {"R", 2048},
                {"V", 256},
                {"count", 256},
                {"k", 16},
                {"seed", 3}}),
  };
}

// 32 documents of 128 tokens in BERT-base.
Shape timed_shape(bool tiny) {
  if (tiny) {
    Shape shape = checked_shapes()[1];
    shape.name = "tiny";
    return shape;
  }
  return shape_of("bert-base, 32 x 128", std::vector<int>(32, 128),
                  {{"C", 768},
                   {"D", 256},
                   {"H", 12},
                   {"K", 768},
                   {"M", 128},
                   {"N", 3072},
                   {"P", 512},
                   {"Q", 32},
                   {"R", 8192},
                   {"V", 30522},
                   {"count", 1 << 24},
                   {"k", 256},
                   {"seed", 5}});
}

// What rounding explains, in parts of the largest value of an output.
double allowed_error(int variant, bool tf32) {
  constexpr double kFloat32 = 1e-5, kTf32 = 4e-3, kBfloat16 = 3e-2;
  const double rounded = static_cast<DataType>(variant % kDeviceTypes) == DataType::kBfloat16 ? kBfloat16 : kFloat32;
  return std::max(rounded, tf32 ? kTf32 : 0.0);
}

template <class Struct, class Run>
std::vector<Arguments::Output> outputs_of(const Backend& backend, const Shape& shape, const Run& run) {
  Arguments filled(backend, shape);
  Struct arguments{};
  fields(filled, arguments);
  run(backend, arguments);
  return filled.results();
}

template <class Struct, class Run>
void compare(const Backend& cpu, const Backend& cuda, const Shape& shape, const Run& run, Result& result) {
  const auto expected = outputs_of<Struct>(cpu, shape, run), actual = outputs_of<Struct>(cuda, shape, run);
  for (size_t i = 0; i < expected.size(); ++i) {
    const auto &a = actual[i].values, &e = expected[i].values;
    double largest = 0;
    for (const double x : e) largest = std::isfinite(x) ? std::max(largest, std::fabs(x)) : largest;
    size_t different = 0;
    for (size_t j = 0; j < e.size(); ++j) {
      if (a[j] == e[j] || (std::isnan(a[j]) && std::isnan(e[j]))) continue;
      ++different;
      if (actual[i].whole) continue;
      const double error = std::fabs(a[j] - e[j]) / std::max(largest, 1e-30);
      result.error = std::isnan(error) ? INFINITY : std::max(result.error, error);
    }
    // Terms, rows and counts follow from values that may be almost equal.
    const bool odd = actual[i].whole && static_cast<double>(different) > 1 + 0.01 * static_cast<double>(e.size());
    if (odd) result.failure = expected[i].name + " differs at " + std::to_string(different) + " places";
  }
  if (!(result.error <= result.allowed)) result.failure = "an output differs by more than is allowed";
}

// The value that so many parts of sorted ones are below, the nearest.
double quantile(const std::vector<double>& sorted, double part) {
  return sorted[static_cast<size_t>(std::lround(part * static_cast<double>(sorted.size() - 1)))];
}

// Microseconds of one run. A sample is of runs that are queued together and waited for: enough of them for 20 ms, one
// alone where `tiny`. The samples that find out how many warm the device up.
template <class Struct, class Run>
Spread microseconds_of(const Backend& backend, const Shape& shape, const Run& run, bool tiny) {
  using Clock = std::chrono::steady_clock;
  constexpr int kSamples = 9, kMostRuns = 1 << 16;
  constexpr double kSampleSeconds = 0.02;
  Arguments filled(backend, shape);
  Struct arguments{};
  fields(filled, arguments);
  const auto sample = [&](int runs) {
    const auto start = Clock::now();
    for (int i = 0; i < runs; ++i) run(backend, arguments);
    filled.wait();
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  int runs = 1;
  while (sample(runs) < kSampleSeconds && !tiny && runs < kMostRuns) runs *= 2;
  std::vector<double> samples(kSamples);
  for (double& one : samples) one = 1e6 * sample(runs) / runs;
  std::sort(samples.begin(), samples.end());
  return {quantile(samples, 0.5), quantile(samples, 0.25), quantile(samples, 0.75)};
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + "\"";
}

void write_json(const char* path, const std::string& device, const std::string& products, bool emulated,
                const std::vector<Result>& results) {
  FILE* file = std::fopen(path, "w");
  if (file == nullptr) fail("ERR_FILE_IO", "%s was not written; choose another --json", path);
  std::fprintf(file, "{\"device\": %s, \"products\": %s, \"emulated\": %s, \"results\": [\n", quoted(device).c_str(),
               quoted(products).c_str(), emulated ? "true" : "false");
  for (size_t i = 0; i < results.size(); ++i) {
    const Result& r = results[i];
    std::fprintf(file, "%s{\"op\": \"%s\", \"shape\": %s", i == 0 ? "" : ",\n", r.op.c_str(), quoted(r.shape).c_str());
    if (const Spread& t = r.microseconds; t.median >= 0) {
      std::fprintf(file, ", \"%s\": {\"microseconds\": %.2f, \"low\": %.2f, \"high\": %.2f}",
                   emulated ? "emulated" : "measured", t.median, t.low, t.high);
    } else {
      std::fprintf(file, ", \"error\": %.3g, \"allowed\": %.3g", std::isfinite(r.error) ? r.error : 1e30, r.allowed);
    }
    if (!r.failure.empty()) std::fprintf(file, ", \"failure\": %s", quoted(r.failure).c_str());
    std::fprintf(file, "}");
  }
  std::fprintf(file, "\n]}\n");
  if (std::fclose(file) != 0) fail("ERR_FILE_IO", "%s was not written whole", path);
}

const CudaLibrary& opened(const char* path) {
  void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) fail("ERR_DEVICE_UNAVAILABLE", "%s", dlerror());
  const auto entry = reinterpret_cast<const CudaLibrary* (*)()>(dlsym(handle, "fles_cuda_library"));
  if (entry == nullptr || entry()->fingerprint != table_fingerprint()) {
    fail("ERR_DEVICE_UNAVAILABLE", "%s is no CUDA backend of this version; build both together", path);
  }
  return *entry();
}

int run_all(const char* path, const char* json, bool timed, bool tiny, int index, const std::string& only) {
  const CudaLibrary& library = opened(path);
  const Backend &cpu = backend_for("cpu"), &cuda = *library.open(index);
  const std::string device = library.describe(index);
  const char* tf32_setting = std::getenv("FLES_TF32");
  const bool tf32 = tf32_setting == nullptr || std::string(tf32_setting) != "0";
  std::printf("%s%s\n", device.c_str(), library.emulated ? ", emulated: times mean nothing" : "");

  std::vector<Result> results;
  const auto attempt = [&](const char* op, const Shape& shape, auto&& body) {
    if (!only.empty() && only != op) return;
    Result result;
    result.op = op;
    result.shape = shape.name + ", variant " + std::to_string(shape.variant);
    result.allowed = allowed_error(shape.variant, tf32);
    try {
      body(result);
    } catch (const Error& error) {
      result.failure = error.code() + " " + error.what();
    }
    char figure[64];
    const Spread& t = result.microseconds;
    if (t.median < 0) {
      std::snprintf(figure, sizeof figure, "%.2g", result.error);
    } else {
      std::snprintf(figure, sizeof figure, "%.2f us (%.2f to %.2f)", t.median, t.low, t.high);
    }
    std::printf("%-24s %-34s %s %s\n", op, result.shape.c_str(), figure,
                result.failure.empty() ? "ok" : ("FAILED " + result.failure).c_str());
    results.push_back(result);
  };
  const auto each_op = [&](Shape shape, auto&& body) {
    for (shape.variant = 0; shape.variant < 4; ++shape.variant) {
#define FLES_OP(name, Struct)                                                                                    \
  attempt(#name, shape, [&](Result& result) {                                                                    \
    body(result, shape, Struct{}, [](const Backend& b, const Struct& arguments) { b.name(b.self, arguments); }); \
  });
#include "ops/ops.def"
#undef FLES_OP
    }
  };
  if (timed) {
    each_op(timed_shape(tiny), [&](Result& result, const Shape& s, auto arguments, const auto& run) {
      result.microseconds = microseconds_of<decltype(arguments)>(cuda, s, run, tiny);
    });
  } else {
    for (const Shape& shape : checked_shapes()) {
      each_op(shape, [&](Result& result, const Shape& s, auto arguments, const auto& run) {
        compare<decltype(arguments)>(cpu, cuda, s, run, result);
      });
    }
  }
  if (results.empty()) fail("ERR_USAGE", "there is no op \"%s\"; the ops are in cpp/ops/ops.def", only.c_str());
  const auto failed = std::count_if(results.begin(), results.end(), [](const Result& r) { return !r.failure.empty(); });
  const std::string products = library.describe_products(index);
  std::printf("products with an epilogue: %s\n%zu runs, %td failed\n", products.c_str(), results.size(), failed);
  if (json != nullptr) write_json(json, device, products, library.emulated, results);
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace fles::check

int main(int count, char** arguments) {
  const char *library = nullptr, *json = nullptr, *op = "";
  bool timed = false, tiny = false;
  int device = 0;
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    if (argument == "--time") {
      timed = true;
    } else if (argument == "--tiny") {
      tiny = true;
    } else if (argument == "--json" && i + 1 < count) {
      json = arguments[++i];
    } else if (argument == "--device" && i + 1 < count) {
      device = std::atoi(arguments[++i]);
    } else if (argument == "--op" && i + 1 < count) {
      op = arguments[++i];
    } else if (library == nullptr && argument.rfind("--", 0) != 0) {
      library = arguments[i];
    } else {
      library = nullptr;
      break;
    }
  }
  if (library == nullptr || (tiny && !timed)) {
    std::fprintf(stderr, "usage: fles-cuda-check LIBRARY [--json FILE] [--time [--tiny]] [--device N] [--op NAME]\n");
    return 2;
  }
  try {
    return fles::check::run_all(library, json, timed, tiny, device, op);
  } catch (const fles::Error& error) {
    std::fprintf(stderr, "error: %s %s\n", error.code().c_str(), error.what());
    return 1;
  }
}
