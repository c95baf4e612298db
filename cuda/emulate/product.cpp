#include "emulate/product.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "emulate/ptx.h"
#include "emulate/workers.h"

namespace emulate {
namespace {

using Vector = float __attribute__((vector_size(32)));
constexpr int kLanes = 8;
constexpr int kTileRows = 16, kTileColumns = 4;       // of C: the sums that stay in registers
constexpr int kBlockRows = 128, kBlockColumns = 128;  // of C: what one worker computes at a time
// Of k, at most what is summed in registers. With 8-bit operands such a sum is below 2^24, hence exact in float32.
constexpr int kBlockDepth = 256;

constexpr int64_t rounded_up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

// One operand as float32, cut into slivers of `width` rows of op(A) or columns of op(B): for each step of k its `width`
// values, the missing ones 0.
struct Packed {
  std::unique_ptr<float[]> values;
  int width, count, depth;

  const float* sliver(int first) const { return values.get() + int64_t{first} * depth; }
};

template <class T>
float as_float(T value) {
  return static_cast<float>(value);
}

template <class T>
void pack_sliver(const T* source, int64_t along_width, int64_t along_depth, int width, int used, int depth, bool tf32,
                 float* to) {
  for (int step = 0; step < depth; ++step, to += width) {
    const T* values = source + step * along_depth;
    for (int i = 0; i < used; ++i) to[i] = as_float(values[i * along_width]);
    for (int i = used; i < width; ++i) to[i] = 0;
    if (!tf32) continue;
    for (int i = 0; i < used; ++i) to[i] = __uint_as_float(ptx::to_tf32(to[i]));
  }
}

// `count` rows of op(A), or columns of op(B), `depth` long.
Packed pack(const void* source, cublas::Type type, int64_t along_width, int64_t along_depth, int width, int count,
            int depth, bool tf32) {
  const int64_t slivers = rounded_up(count, width) / width;
  Packed packed{std::unique_ptr<float[]>(new float[slivers * width * depth]), width, count, depth};
  const auto pack_as = [&](const auto* values) {
    const int64_t together = std::max<int64_t>(1, 65536 / (int64_t{width} * depth + 1));
    parallel_for(rounded_up(slivers, together) / together, [&](int64_t part, int) {
      for (int64_t i = part * together; i < std::min(slivers, (part + 1) * together); ++i) {
        const int64_t first = i * width;
        pack_sliver(values + first * along_width, along_width, along_depth, width,
                    static_cast<int>(std::min<int64_t>(width, count - first)), depth, tf32,
                    packed.values.get() + first * depth);
      }
    });
  };
  if (type == cublas::kFloat32) pack_as(static_cast<const float*>(source));
  if (type == cublas::kBfloat16) pack_as(static_cast<const __nv_bfloat16*>(source));
  if (type == cublas::kInt8) pack_as(static_cast<const int8_t*>(source));
  return packed;
}

// sums (16, 4), column-major = a sliver of each operand over `depth` steps of k. One body for all tiles, those at the
// edges too, so that all values of C are rounded alike.
__attribute__((always_inline)) inline void tile(const float* a, const float* b, int depth, float* sums) {
  static_assert(kTileRows == 2 * kLanes && kTileColumns == 4);
  // Variables rather than arrays: registers also where loops are not unrolled.
  Vector low0{}, high0{}, low1{}, high1{}, low2{}, high2{}, low3{}, high3{};
  for (int step = 0; step < depth; ++step, a += kTileRows, b += kTileColumns) {
    Vector low, high;
    std::memcpy(&low, a, sizeof low);
    std::memcpy(&high, a + kLanes, sizeof high);
    low0 += low * b[0];
    high0 += high * b[0];
    low1 += low * b[1];
    high1 += high * b[1];
    low2 += low * b[2];
    high2 += high * b[2];
    low3 += low * b[3];
    high3 += high * b[3];
  }
  const Vector totals[] = {low0, high0, low1, high1, low2, high2, low3, high3};
  std::memcpy(sums, totals, sizeof totals);
}

using Tile = void (*)(const float* a, const float* b, int depth, float* sums);
void tile_portable(const float* a, const float* b, int depth, float* sums) { tile(a, b, depth, sums); }
#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) void tile_avx2(const float* a, const float* b, int depth, float* sums) {
  tile(a, b, depth, sums);
}
Tile best_tile() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? tile_avx2 : tile_portable; }
#else
Tile best_tile() { return tile_portable; }
#endif

void add(float& total, float sum) { total += sum; }
// Wraps, as the sums of a device do.
void add(int32_t& total, float sum) {
  total = static_cast<int32_t>(static_cast<uint32_t>(total) + static_cast<uint32_t>(static_cast<int32_t>(sum)));
}

float after(cublas::Epilogue epilogue, float x) {
  if ((epilogue & cublas::kRelu) != 0) return x < 0 ? 0.0f : x;
  if ((epilogue & cublas::kGelu) == 0) return x;
  return 0.5f * x * (1 + std::tanh(0.79788456f * (x + 0.044715f * x * x * x)));
}

template <class C>
void store(float sum, const Product& p, int row, const C& addend, C& to) {
  float value = static_cast<float>(p.alpha) * sum;
  if (p.beta != 0) value += static_cast<float>(p.beta) * static_cast<float>(addend);
  if (p.bias != nullptr) value += p.bias[row];
  to = C(after(p.epilogue, value));
}
void store(int32_t sum, const Product& p, int, const int32_t& addend, int32_t& to) {
  uint32_t value = static_cast<uint32_t>(static_cast<int32_t>(p.alpha)) * static_cast<uint32_t>(sum);
  if (p.beta != 0) value += static_cast<uint32_t>(static_cast<int32_t>(p.beta)) * static_cast<uint32_t>(addend);
  to = static_cast<int32_t>(value);
}

// The block of C that starts at a row and a column. `totals`: (kBlockRows, kBlockColumns), column-major.
template <class Total, class C>
void multiply_block(const Product& p, const Packed& a, const Packed& b, int first_row, int first_column, Tile tile_of,
                    Total* totals) {
  const int rows = std::min(kBlockRows, p.m - first_row), columns = std::min(kBlockColumns, p.n - first_column);
  std::fill_n(totals, kBlockRows * kBlockColumns, Total{0});
  for (int step = 0; step < p.k; step += kBlockDepth) {
    const int depth = std::min(kBlockDepth, p.k - step);
    for (int column = 0; column < columns; column += kTileColumns) {
      const float* b_values = b.sliver(first_column + column) + int64_t{step} * kTileColumns;
      for (int row = 0; row < rows; row += kTileRows) {
        float sums[kTileRows * kTileColumns];
        tile_of(a.sliver(first_row + row) + int64_t{step} * kTileRows, b_values, depth, sums);
        for (int j = 0; j < kTileColumns; ++j) {
          Total* to = totals + (column + j) * kBlockRows + row;
          for (int i = 0; i < kTileRows; ++i) add(to[i], sums[j * kTileRows + i]);
        }
      }
    }
  }
  const int64_t first = first_column * p.ldc + first_row;
  auto* c = static_cast<C*>(p.c) + first;
  const auto* addend = static_cast<const C*>(p.addend) + first;
  for (int column = 0; column < columns; ++column) {
    for (int row = 0; row < rows; ++row) {
      const int64_t i = column * p.ldc + row;
      store(totals[column * kBlockRows + row], p, first_row + row, addend[i], c[i]);
    }
  }
}

template <class Total, class C>
void multiply_as(const Product& p) {
  const Packed a = p.transpose_a ? pack(p.a, p.input, p.lda, 1, kTileRows, p.m, p.k, p.tf32)
                                 : pack(p.a, p.input, 1, p.lda, kTileRows, p.m, p.k, p.tf32);
  const Packed b = p.transpose_b ? pack(p.b, p.input, 1, p.ldb, kTileColumns, p.n, p.k, p.tf32)
                                 : pack(p.b, p.input, p.ldb, 1, kTileColumns, p.n, p.k, p.tf32);
  const Tile tile_of = best_tile();
  const int64_t down = rounded_up(p.m, kBlockRows) / kBlockRows;
  const int64_t across = rounded_up(p.n, kBlockColumns) / kBlockColumns;
  parallel_for(down * across, [&](int64_t block, int) {
    const std::unique_ptr<Total[]> totals(new Total[kBlockRows * kBlockColumns]);
    multiply_block<Total, C>(p, a, b, static_cast<int>(block % down) * kBlockRows,
                             static_cast<int>(block / down) * kBlockColumns, tile_of, totals.get());
  });
}

}  // namespace

void multiply(const Product& product) {
  if (product.output == cublas::kInt32) {
    multiply_as<int32_t, int32_t>(product);
  } else if (product.output == cublas::kFloat32) {
    multiply_as<float, float>(product);
  } else {
    multiply_as<float, __nv_bfloat16>(product);
  }
}

}  // namespace emulate
