#include "emulate/configuration.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>
#include <thread>

#include "emulate/sanitizers.h"

namespace emulate {
namespace {

// More would take address space for stacks, and machines that have more processors do not need them here.
constexpr int kDefaultThreads = 16;
constexpr int kMaxThreads = 256;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

[[noreturn]] void refuse(const char* name, const std::string& value, const std::string& expected) {
  std::fprintf(stderr, "error: %s is \"%s\", expected %s\n", name, value.c_str(), expected.c_str());
  std::exit(1);
}

bool parse(const std::string& text, uint64_t& number) {
  if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos) return false;
  number = std::stoull(text);
  return true;
}

bool within(const std::string& text, int64_t least, int64_t most, int64_t& number) {
  uint64_t given;
  if (!parse(text, given) || static_cast<int64_t>(given) < least || static_cast<int64_t>(given) > most) return false;
  number = static_cast<int64_t>(given);
  return true;
}

void read_number(const char* name, int64_t least, int64_t most, int64_t& number) {
  const std::string value = variable(name);
  if (value.empty() || within(value, least, most, number)) return;
  refuse(name, value, "a number in " + std::to_string(least) + ".." + std::to_string(most));
}

// Numbers with commas between them.
void read_numbers(const char* name, int64_t least, int64_t most, std::vector<int>& numbers) {
  const std::string value = variable(name);
  if (value.empty()) return;
  numbers.clear();
  for (size_t begin = 0, end; begin <= value.size(); begin = end + 1) {
    end = std::min(value.find(',', begin), value.size());
    int64_t number;
    if (!within(value.substr(begin, end - begin), least, most, number)) {
      refuse(name, value,
             "numbers in " + std::to_string(least) + ".." + std::to_string(most) + ", with commas between");
    }
    numbers.push_back(static_cast<int>(number));
  }
}

// `choice[:seed]`; the choice.
std::string read_choice(const char* name, const char* expected, uint64_t& seed) {
  const std::string value = variable(name);
  const size_t colon = value.find(':');
  if (colon != std::string::npos && !parse(value.substr(colon + 1), seed)) refuse(name, value, expected);
  return value.substr(0, colon);
}

Configuration read() {
  Configuration made;

  int64_t threads = std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kDefaultThreads);
  read_number("FLES_EMULATE_THREADS", 1, kMaxThreads, threads);
  made.threads = kThreadSanitizer ? 1 : static_cast<int>(threads);

  constexpr const char* kSchedules = "forward, reverse or random, and for random :seed";
  const std::string schedule = read_choice("FLES_EMULATE_SCHEDULE", kSchedules, made.seed);
  if (schedule == "reverse") {
    made.schedule = Schedule::kReverse;
  } else if (schedule == "random") {
    made.schedule = Schedule::kRandom;
  } else if (!schedule.empty() && schedule != "forward") {
    refuse("FLES_EMULATE_SCHEDULE", schedule, kSchedules);
  }

  constexpr const char* kStreams = "eager or lazy, and for lazy :seed";
  const std::string streams = read_choice("FLES_EMULATE_STREAMS", kStreams, made.stream_seed);
  made.lazy_streams = streams == "lazy";
  if (!streams.empty() && streams != "lazy" && streams != "eager") refuse("FLES_EMULATE_STREAMS", streams, kStreams);

  read_number("FLES_EMULATE_FAIL_ALLOCATION", 0, INT64_MAX, made.fail_allocation);
  read_number("FLES_EMULATE_FAIL_PINNED", 0, INT64_MAX, made.fail_pinned);
  int64_t devices = 1, abort = 0;
  read_number("FLES_EMULATE_DEVICES", 0, 16, devices);
  made.devices = static_cast<int>(devices);
  read_numbers("FLES_EMULATE_CAPABILITY", 50, 120, made.capabilities);
  const std::string lt = variable("FLES_EMULATE_CUBLASLT");
  constexpr const char* kStates[] = {"present", "absent", "unable", "older", "refusing"};  // as CublasLt has them
  const auto* const state = std::find(std::begin(kStates), std::end(kStates), lt);
  if (state != std::end(kStates)) {
    made.cublas_lt = static_cast<CublasLt>(state - kStates);
  } else if (!lt.empty()) {
    refuse("FLES_EMULATE_CUBLASLT", lt, "present, absent, unable, older or refusing");
  }
  read_number("FLES_EMULATE_ABORT", 0, 1, abort);
  made.abort = abort != 0;
  made.log = variable("FLES_EMULATE_LOG");
  return made;
}

}  // namespace

const Configuration& configuration() {
  static const Configuration made = read();
  return made;
}

}  // namespace emulate
