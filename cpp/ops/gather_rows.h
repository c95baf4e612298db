// Some rows of a matrix, one after the other.
//   in (R, C)   rows (N) in 0..R-1   out (N, C)   row i = row rows[i] of in
#pragma once
#include <cstdint>

namespace fles {

struct GatherRowsForward {
  const float* in;
  const int32_t* rows;
  float* out;
  int R, C, N;
};

template <class Visitor>
void fields(Visitor& v, GatherRowsForward& a) {
  v.size("R", a.R), v.size("C", a.C), v.size("N", a.N);
  v.input("in", a.in, int64_t{a.R} * a.C);
  v.input("rows", a.rows, int64_t{a.N});
  v.output("out", a.out, int64_t{a.N} * a.C);
}

}  // namespace fles
