// Sum of squares of `count` values: for the norm of a gradient.
//   in (count)   out (1)   assigned: summed in double in one fixed order, whatever the number of threads, and rounded;
//   infinite or NaN when a value is
#pragma once
#include <cstdint>

namespace fles {

struct SquareSum {
  const float* in;
  float* out;
  int count;
};

template <class Visitor>
void fields(Visitor& v, SquareSum& a) {
  v.size("count", a.count);
  v.input("in", a.in, int64_t{a.count});
  v.output("out", a.out, 1);
}

}  // namespace fles
