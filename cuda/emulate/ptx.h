// The twins of the wrappers in ../ptx.h.
#pragma once
#include "interface.h"
#include "intrinsics.h"

namespace emulate {
// Until it is waited for, the destination of an asynchronous copy reads as NaN, and nobody may write there.
void copy_async(void* shared, const void* global, int bytes, Site site);
void copy_async_commit();
void copy_async_wait(int groups);
// Where a lane reads its part of each of four matrices; each lane gives one row.
void exchange_rows(const void* row, const void* (&rows)[4], Site site);
void mma_bfloat16(float* d, const unsigned* a, const unsigned* b, Site site);
void mma_tf32(float* d, const unsigned* a, const unsigned* b, Site site);
void mma_int8(int* d, const unsigned* a, const unsigned* b, Site site);
}  // namespace emulate

namespace ptx {

inline void copy_async_16(void* shared, const void* global, int bytes, emulate::Site site = emulate::Site::current()) {
  emulate::copy_async(shared, global, bytes, site);
}
inline void copy_async_commit() { emulate::copy_async_commit(); }
template <int N>
inline void copy_async_wait() {
  static_assert(N >= 0);
  emulate::copy_async_wait(N);
}

// Lane i receives, of each matrix, elements 2 (i % 4) and the next of row i / 4. It reads them itself, so that a race
// with what writes them is seen.
inline void load_matrix_x4(unsigned (&r)[4], const void* row, emulate::Site site = emulate::Site::current()) {
  const void* rows[4];
  emulate::exchange_rows(row, rows, site);
  for (int i = 0; i < 4; ++i) {
    const auto* values = static_cast<const uint16_t*>(rows[i]) + 2 * (emulate::coordinates.lane % 4);
    r[i] = values[0] | static_cast<unsigned>(values[1]) << 16;
  }
}

inline void mma_bfloat16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                         emulate::Site site = emulate::Site::current()) {
  emulate::mma_bfloat16(d, a, b, site);
}
inline void mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                     emulate::Site site = emulate::Site::current()) {
  emulate::mma_tf32(d, a, b, site);
}
inline void mma_int8(int (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                     emulate::Site site = emulate::Site::current()) {
  emulate::mma_int8(d, a, b, site);
}

inline unsigned to_tf32(float x) {
  const unsigned bits = __float_as_uint(x);
  if (x != x) return 0x7FFFE000U;
  const bool infinite = (bits & 0x7FFFFFFFU) == 0x7F800000U;
  return (infinite ? bits : bits + 0x1000U) & 0xFFFFE000U;
}

}  // namespace ptx
