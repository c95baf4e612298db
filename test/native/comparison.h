// Comparison of float32 results with a reference in float64. Tolerance: twice the error that the same plain loops make
// in float32, and never less than 2 units in the last place of the largest value.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace fles {

// Compares with the reference in double; `plain` is the reference computed in float32. On few values that one may be
// exact by luck, so what sums alike is added up and compared in the end.
class Comparison {
 public:
  Comparison() = default;
  ~Comparison() {
    EXPECT_LE(error_, std::max(2 * plain_error_, largest_ * std::ldexp(2.0, -23))) << "furthest: " << furthest_;
  }
  Comparison(const Comparison&) = delete;
  Comparison& operator=(const Comparison&) = delete;

  void add(const std::string& name, const std::vector<float>& actual, const std::vector<double>& exact,
           const std::vector<float>& plain) {
    ASSERT_EQ(actual.size(), exact.size()) << name;
    for (size_t i = 0; i < exact.size(); ++i) {
      ASSERT_TRUE(std::isfinite(actual[i])) << name << ", value " << i;
      largest_ = std::max(largest_, std::abs(exact[i]));
      plain_error_ = std::max(plain_error_, std::abs(plain[i] - exact[i]));
      if (std::abs(actual[i] - exact[i]) <= error_) continue;
      error_ = std::abs(actual[i] - exact[i]);
      furthest_ = name;
    }
  }

 private:
  double largest_ = 0, plain_error_ = 0, error_ = 0;
  std::string furthest_;
};

inline void expect_close(const std::vector<float>& actual, const std::vector<double>& exact,
                         const std::vector<float>& plain) {
  Comparison().add("", actual, exact, plain);
}

inline std::string shape(std::initializer_list<std::pair<const char*, int>> sizes) {
  std::string text;
  for (const auto& [name, size] : sizes)
    text += std::string(text.empty() ? "" : ", ") + name + " " + std::to_string(size);
  return text;
}

}  // namespace fles
