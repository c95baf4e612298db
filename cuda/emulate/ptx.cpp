// What the PTX instructions of ptx.h do.
#include "emulate/ptx.h"

#include <algorithm>
#include <cstring>

#include "emulate/block.h"
#include "emulate/memory.h"
#include "emulate/sanitizers.h"

namespace emulate {

void copy_async(void* shared, const void* global, int bytes, Site site) {
  Block* block = Block::running();
  const auto require = [&](bool holds, const char* what) {
    if (!holds) block->fail("copy_async_16 at %s:%u: %s", site.file_name(), site.line(), what);
  };
  require(bytes == 0 || bytes == 16, "the bytes are neither 0 nor 16");
  require(reinterpret_cast<uintptr_t>(shared) % 16 == 0, "the destination is not aligned to 16 bytes");
  require(in_shared(shared, 16), "the destination is not in shared memory");
  if (bytes == 16) {
    require(reinterpret_cast<uintptr_t>(global) % 16 == 0, "the source is not aligned to 16 bytes");
    require(in_allocation(global, 16), "the source is not in device memory");
    report_read_16(global);
  }
  // It may be written at any time from now on.
  report_write_16(shared);
  std::memset(shared, 0xFF, 16);
  AsyncCopies& async = block->async_copies();
  async.copies.push_back({shared, bytes == 16 ? global : nullptr, async.group, site});
}

// A copy may arrive at any time until it is waited for: one of two writes would be lost.
void Block::require_untouched(const AsyncCopies::Copy& copy) {
  const auto* bytes = static_cast<const unsigned char*>(copy.to);
  if (std::all_of(bytes, bytes + 16, [](unsigned char byte) { return byte == 0xFF; })) return;
  fail("copy_async_16 at %s:%u: the destination was written to while the copy was under way", copy.site.file_name(),
       copy.site.line());
}

void copy_async_commit() { ++Block::running()->async_copies().group; }

void copy_async_wait(int groups) {
  AsyncCopies& async = Block::running()->async_copies();
  size_t kept = 0;
  for (const AsyncCopies::Copy& copy : async.copies) {
    if (copy.group >= async.group - groups) {
      async.copies[kept++] = copy;
      continue;
    }
    Block::running()->require_untouched(copy);
    report_write_16(copy.to);
    if (copy.from == nullptr) {
      std::memset(copy.to, 0, 16);
    } else {
      std::memcpy(copy.to, copy.from, 16);
    }
  }
  async.copies.resize(kept);
}

namespace {

struct Rows {
  const void* own;
  const void** rows;
};

// The registers of a lane of D (16, 8), A (16, K) and B (K, 8), dealt out as in the PTX ISA: to lane i with g = i / 4
// and t = i % 4. A register of A is of row g or g + 8, and of the first or the second half of the columns; one of B is
// of column g.
template <class Sum>
struct Fragments {
  Sum* d;
  const unsigned* a;
  const unsigned* b;
};

void add_product(float& sum, float a, float b) { sum += a * b; }
void add_product(int& sum, int a, int b) {
  sum = static_cast<int>(static_cast<unsigned>(sum) + static_cast<unsigned>(a * b));  // wraps
}

// D += A B. `unpack(register, i)` is the i-th of the `packed` elements that a register holds.
template <class Sum, int packed, class Unpack>
void multiply(void* const* arguments, const Unpack& unpack) {
  constexpr int kHalf = 4 * packed, kDepth = 2 * kHalf;
  Sum a[16][kDepth], b[kDepth][8], d[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const auto& own = *static_cast<Fragments<Sum>*>(arguments[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < packed; ++i) {
      const int k = packed * t + i;
      a[g][k] = unpack(own.a[0], i);
      a[g + 8][k] = unpack(own.a[1], i);
      a[g][kHalf + k] = unpack(own.a[2], i);
      a[g + 8][kHalf + k] = unpack(own.a[3], i);
      b[k][g] = unpack(own.b[0], i);
      b[kHalf + k][g] = unpack(own.b[1], i);
    }
    for (int i = 0; i < 2; ++i) {
      d[g][2 * t + i] = own.d[i];
      d[g + 8][2 * t + i] = own.d[2 + i];
    }
  }
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < kDepth; ++k) {
      for (int column = 0; column < 8; ++column) add_product(d[row][column], a[row][k], b[k][column]);
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    const auto& own = *static_cast<Fragments<Sum>*>(arguments[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 2; ++i) {
      own.d[i] = d[g][2 * t + i];
      own.d[2 + i] = d[g + 8][2 * t + i];
    }
  }
}

void multiply_bfloat16(void* const* arguments, unsigned) {
  multiply<float, 2>(arguments,
                     [](unsigned pair, int i) { return __uint_as_float(i == 0 ? pair << 16 : pair & 0xFFFF0000U); });
}

void multiply_tf32(void* const* arguments, unsigned) {
  multiply<float, 1>(arguments, [](unsigned value, int) {
    return __uint_as_float(value & 0xFFFFE000U);  // the other bits are not read
  });
}

void multiply_int8(void* const* arguments, unsigned) {
  multiply<int, 4>(arguments,
                   [](unsigned four, int i) { return static_cast<int>(static_cast<int8_t>(four >> 8 * i)); });
}

}  // namespace

void exchange_rows(const void* row, const void* (&rows)[4], Site site) {
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0 || !in_shared(row, 16)) {
    fail("load_matrix_x4 at %s:%u: %p is not 16 aligned bytes of shared memory", site.file_name(), site.line(), row);
  }
  Rows self{row, rows};
  const auto exchange = [](void* const* arguments, unsigned) {
    for (int lane = 0; lane < 32; ++lane) {
      for (int matrix = 0; matrix < 4; ++matrix) {
        static_cast<Rows*>(arguments[lane])->rows[matrix] = static_cast<Rows*>(arguments[8 * matrix + lane / 4])->own;
      }
    }
  };
  warp_collective(0xFFFFFFFFU, "load_matrix_x4", &self, exchange, false, site);
}

void mma_bfloat16(float* d, const unsigned* a, const unsigned* b, Site site) {
  Fragments<float> self{d, a, b};
  warp_collective(0xFFFFFFFFU, "mma_bfloat16", &self, multiply_bfloat16, false, site);
}

void mma_tf32(float* d, const unsigned* a, const unsigned* b, Site site) {
  Fragments<float> self{d, a, b};
  warp_collective(0xFFFFFFFFU, "mma_tf32", &self, multiply_tf32, false, site);
}

void mma_int8(int* d, const unsigned* a, const unsigned* b, Site site) {
  Fragments<int> self{d, a, b};
  warp_collective(0xFFFFFFFFU, "mma_int8", &self, multiply_int8, false, site);
}

}  // namespace emulate
