// Gradient of ops/gather_rows.h.
//   d_out (N, C)   rows (N) in 0..R-1, no row twice   d_in (R, C)   row rows[i] = row i of d_out; the others stay
#pragma once
#include <cstdint>

namespace fles {

struct GatherRowsBackward {
  const float* d_out;
  const int32_t* rows;
  float* d_in;
  int R, C, N;
};

template <class Visitor>
void fields(Visitor& v, GatherRowsBackward& a) {
  v.size("R", a.R), v.size("C", a.C), v.size("N", a.N);
  v.input("d_out", a.d_out, int64_t{a.N} * a.C);
  v.input("rows", a.rows, int64_t{a.N});
  v.output("d_in", a.d_in, int64_t{a.R} * a.C);
}

}  // namespace fles
