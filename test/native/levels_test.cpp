// Which level is chosen.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "cpu/backend_cpu.h"
#include "cpu/levels.h"
#include "thrown.h"

namespace fles::cpu {
namespace {

// Sets an environment variable for as long as it lives; null unsets it.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    const char* before = std::getenv(name);
    had_ = before != nullptr;
    if (had_) before_ = before;
    set(value);
  }
  ~Environment() { set(had_ ? before_.c_str() : nullptr); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  void set(const char* value) const { value != nullptr ? setenv(name_, value, 1) : unsetenv(name_); }
  const char* name_;
  bool had_;
  std::string before_;
};

TEST(Levels, TheBestThatTheProcessorRunsIsChosen) {
  const Environment unset("FLES_CPU", nullptr);
  EXPECT_EQ(&chosen_kernels(), usable_kernels().back());
}

TEST(Levels, AnyThatTheProcessorRunsCanBeAskedFor) {
  for (const Kernels* kernels : usable_kernels()) {
    const Environment forced("FLES_CPU", kernels->name);
    EXPECT_EQ(&chosen_kernels(), kernels);
  }
  const Environment unknown("FLES_CPU", "sse1");
  EXPECT_EQ(thrown_code([] { chosen_kernels(); }), "ERR_CPU_LEVEL");
}

// Where the processor is known, as under emulation, FLES_EXPECTED_LEVELS names what must be found on it.
TEST(Levels, AreThoseOfTheProcessor) {
  std::string names;
  for (const Kernels* kernels : usable_kernels()) names += (names.empty() ? "" : ",") + std::string(kernels->name);
  const char* expected = std::getenv("FLES_EXPECTED_LEVELS");
  EXPECT_EQ(names, expected != nullptr ? expected : names);
}

#if defined(__x86_64__)
TEST(Levels, WholeNumbersStandForBfloat16WhereTheyAreFaster) {
  for (const Kernels* kernels : usable_kernels()) {
    const std::string name = kernels->name;
    const bool fast = name == "amx" || (name == "avx512_bf16" && __builtin_cpu_is("intel") == 0);
    EXPECT_EQ(sixteen_bits(*kernels), fast ? DataType::kBfloat16 : DataType::kInt16) << name;
    EXPECT_EQ(backend_at(name).sixteen_bits, sixteen_bits(*kernels)) << name;
  }
}
#endif

}  // namespace
}  // namespace fles::cpu
