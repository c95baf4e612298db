// cuBLASLt on the CPU: descriptors, one algorithm, and products with an epilogue. An algorithm remembers what it was
// found for, and it is an error to use it for anything else.
#include "emulate/cublas_lt.h"

#include <algorithm>
#include <cstring>
#include <initializer_list>

#include "emulate/configuration.h"
#include "emulate/errors.h"
#include "emulate/log.h"
#include "emulate/memory.h"
#include "emulate/queued_product.h"

namespace cublas {

struct MatmulDescriptor {
  Compute compute;
  Operation a = kPlain, b = kPlain;
  Epilogue epilogue = kNoEpilogue;
  const float* bias = nullptr;
};
struct MatrixLayout {
  Type type;
  int rows, columns;
  int64_t ld;

  bool operator==(const MatrixLayout&) const = default;
};
struct MatmulPreference {
  uint64_t workspace = 0;
  uint32_t alignments[4] = {256, 256, 256, 256};  // of A, B, C and D
};

namespace {

using Held = std::scoped_lock<std::recursive_mutex>;

constexpr size_t kWorkspace = size_t{1} << 20;  // that the algorithm wants

// What is in a MatmulAlgorithm.
struct Found {
  uint64_t shape;          // a hash of it
  uint16_t alignments[5];  // of A, B, C, D and the bias
};
static_assert(sizeof(Found) <= sizeof(MatmulAlgorithm));

template <class T>
int create(T** handle, const char* kind, const T& value) {
  const Held held(emulate::host_lock());
  emulate::log("create %s", kind);
  *handle = new T(value);
  return kSuccess;
}

template <class T>
int destroy(T* handle, const char* kind) {
  const Held held(emulate::host_lock());
  emulate::log("destroy %s", kind);
  delete handle;
  return kSuccess;
}

template <class T>
int set(T& to, const void* value, size_t bytes) {
  if (value == nullptr || bytes != sizeof(T)) return kInvalidValue;
  std::memcpy(static_cast<void*>(&to), value, bytes);
  return kSuccess;
}

bool is(emulate::CublasLt state) { return emulate::configuration().cublas_lt == state; }

int create_matmul(Matmul* matmul, Compute compute, Type scale) {
  return scale == kFloat32 ? create(matmul, "matmul", {.compute = compute}) : kNotSupported;
}
int destroy_matmul(Matmul matmul) { return destroy(matmul, "matmul"); }

int set_matmul(Matmul matmul, MatmulAttribute attribute, const void* value, size_t bytes) {
  switch (attribute) {
    case kTransposeA:
      return set(matmul->a, value, bytes);
    case kTransposeB:
      return set(matmul->b, value, bytes);
    case kEpilogue:
      if (is(emulate::CublasLt::kOlder)) return kInvalidValue;
      return set(matmul->epilogue, value, bytes);
    case kBiasPointer:
      return set(matmul->bias, value, bytes);
  }
  return kInvalidValue;
}

int create_layout(Layout* layout, Type type, uint64_t rows, uint64_t columns, int64_t ld) {
  if (rows == 0 || columns == 0 || ld < static_cast<int64_t>(rows)) return kInvalidValue;
  return create(layout, "layout", {type, static_cast<int>(rows), static_cast<int>(columns), ld});
}
int destroy_layout(Layout layout) { return destroy(layout, "layout"); }

int create_preference(Preference* preference) { return create(preference, "preference", {}); }
int destroy_preference(Preference preference) { return destroy(preference, "preference"); }

int set_preference(Preference preference, PreferenceAttribute attribute, const void* value, size_t bytes) {
  if (attribute == kMostWorkspace) return set(preference->workspace, value, bytes);
  return set(preference->alignments[attribute - kAlignmentA], value, bytes);
}

// Whether op(A) op(B) is of the shape of C and D, which are the same.
bool fits(const MatmulDescriptor& m, const MatrixLayout& a, const MatrixLayout& b, const MatrixLayout& c,
          const MatrixLayout& d) {
  const bool plain_a = m.a == kPlain, plain_b = m.b == kPlain;
  return c == d && d.rows == (plain_a ? a.rows : a.columns) && d.columns == (plain_b ? b.columns : b.rows) &&
         (plain_a ? a.columns : a.rows) == (plain_b ? b.rows : b.columns);
}

uint64_t hash_of(const MatmulDescriptor& m, std::initializer_list<const MatrixLayout*> layouts) {
  uint64_t hash = 1469598103934665603U;  // FNV-1a
  const auto add = [&](int64_t value) { hash = (hash ^ static_cast<uint64_t>(value)) * 1099511628211U; };
  for (const int64_t value : {int64_t{m.compute}, int64_t{m.a}, int64_t{m.b}, int64_t{m.epilogue}}) add(value);
  for (const MatrixLayout* one : layouts) {
    for (const int64_t value : {int64_t{one->type}, int64_t{one->rows}, int64_t{one->columns}, one->ld}) add(value);
  }
  return hash;
}

// The largest power of two that divides an address, 256 at most.
uint16_t alignment_of(const void* memory) {
  const auto address = reinterpret_cast<uintptr_t>(memory) | 256;
  return static_cast<uint16_t>(address & (~address + 1));
}

int find_algorithms(Handle handle, Matmul matmul, Layout a, Layout b, Layout c, Layout d, Preference preference,
                    int most, Heuristic* results, int* found) {
  if (handle == nullptr) return kNotInitialized;
  const Held held(emulate::host_lock());
  emulate::log("find algorithms");
  *found = 0;
  if (most < 1 || !fits(*matmul, *a, *b, *c, *d)) return kInvalidValue;
  // NVIDIA documents no epilogue of 32-bit whole numbers.
  const bool possible = !is(emulate::CublasLt::kUnable) &&
                        emulate::is_supported(a->type, b->type, d->type, matmul->compute) && d->type == kFloat32 &&
                        preference->workspace >= kWorkspace;
  if (!possible) return kNotSupported;
  Found what{hash_of(*matmul, {a, b, d}), {}};
  std::copy_n(preference->alignments, 4, what.alignments);
  what.alignments[4] = alignment_of(matmul->bias);
  results[0] = {};
  std::memcpy(&results[0].algorithm, &what, sizeof what);
  results[0].workspace = kWorkspace;
  *found = 1;
  return kSuccess;
}

int multiply(Handle handle, Matmul matmul, const void* alpha, const void* a, Layout a_layout, const void* b,
             Layout b_layout, const void* beta, const void* c, Layout c_layout, void* d, Layout d_layout,
             const MatmulAlgorithm* algorithm, void* workspace, size_t bytes, cudaStream_t stream) {
  if (handle == nullptr) return kNotInitialized;
  const Held held(emulate::host_lock());
  const MatmulDescriptor& m = *matmul;
  if (alpha == nullptr || beta == nullptr || algorithm == nullptr) return kInvalidValue;
  if (!fits(m, *a_layout, *b_layout, *c_layout, *d_layout)) return kInvalidValue;
  Found what;
  std::memcpy(&what, algorithm, sizeof what);
  if (what.shape != hash_of(m, {a_layout, b_layout, d_layout})) return kInvalidValue;
  if (bytes < kWorkspace || !emulate::in_allocation(workspace, bytes)) return kInvalidValue;
  const bool has_bias = (m.epilogue & kBias) != 0;
  if (has_bias && m.bias == nullptr) return kInvalidValue;
  const void* const memory[] = {a, b, c, d, has_bias ? m.bias : nullptr};
  for (int i = 0; i < 5; ++i) {
    if (alignment_of(memory[i]) < what.alignments[i]) return kInvalidValue;
  }
  if (is(emulate::CublasLt::kRefusing)) return kNotSupported;
  emulate::log("multiply with epilogue %u", static_cast<unsigned>(m.epilogue));

  emulate::Product product{};
  product.transpose_a = m.a == kTransposed;
  product.transpose_b = m.b == kTransposed;
  product.m = d_layout->rows;
  product.n = d_layout->columns;
  product.k = product.transpose_a ? a_layout->rows : a_layout->columns;
  product.alpha = *static_cast<const float*>(alpha);
  product.beta = *static_cast<const float*>(beta);
  product.a = a;
  product.lda = a_layout->ld;
  product.b = b;
  product.ldb = b_layout->ld;
  product.c = d;
  product.addend = c;
  product.ldc = d_layout->ld;
  product.input = a_layout->type;
  product.output = d_layout->type;
  product.tf32 = m.compute == kComputeTf32;
  product.bias = has_bias ? m.bias : nullptr;
  product.epilogue = m.epilogue;
  return emulate::queue_product(product, handle, stream);
}

}  // namespace

LtLibrary lt_library() {
  return {create_matmul,     destroy_matmul,     set_matmul,     create_layout,   destroy_layout,
          create_preference, destroy_preference, set_preference, find_algorithms, multiply};
}

}  // namespace cublas
