// The seam: what a backend must provide. Memory verbs, packed weights, and one function pointer an op.
//
// Pointers in op arguments are in the backend's memory, but for `offsets`, which every backend reads on the host.
// Nothing owns memory across the seam. Failures are fles::Error. Work is done in the order of the calls; a backend that
// queues it returns before it is done, and a download waits for it.
#pragma once
#include <cstddef>
#include <cstdint>

#include "ops/ops.h"

namespace fles {

struct Mark;  // a place in the order of a backend's work

struct Backend {
  const char* name;      // "cpu"
  uint64_t fingerprint;  // table_fingerprint() of the table it was built from
  void* self;            // the backend's own state, handed back to every function

  void* (*allocate)(void* self, size_t bytes);  // 64-byte aligned; ERR_OUT_OF_MEMORY
  void (*release)(void* self, void* memory);
  void (*upload)(void* self, void* to, const void* from_host, size_t bytes);
  void (*download)(void* self, void* to_host, const void* from, size_t bytes);
  void (*clear)(void* self, void* memory, size_t bytes);  // to zeros

  // A download that waits for what was queued before the mark was set, and for nothing behind it. Other threads may
  // queue work meanwhile.
  Mark* (*create_mark)(void* self);
  void (*set_mark)(void* self, Mark* mark);  // any number of times
  void (*download_at)(void* self, const Mark* mark, void* to_host, const void* from, size_t bytes);
  void (*release_mark)(void* self, Mark* mark);

  // A matrix [N, K] filled by pack_rows, rows of float32 from the host or from the backend's own memory, in any order,
  // on any thread; every row once before its use.
  PackedMatrix* (*create_packed)(void* self, int N, int K, DataType type);
  void (*pack_rows)(void* self, PackedMatrix* matrix, const float* rows, int first, int count);
  void (*release_packed)(void* self, PackedMatrix* matrix);
  int rows_at_once;       // that pack_rows takes best in one call, the calls being shared out among threads
  uint64_t memory;        // bytes that a device has of its own; 0 for the host
  bool queues;            // whether work is queued
  bool screens;           // whether sparse_head has a use for a screen
  DataType sixteen_bits;  // of products that are asked for in bfloat16: that, or int16 where it is faster

// NOLINTNEXTLINE(bugprone-macro-parentheses): a declarator
#define FLES_OP(name, Arguments) void (*name)(void* self, const Arguments& arguments);
#include "ops/ops.def"
#undef FLES_OP
};

// What products that are asked for in `type` are computed in.
inline DataType product_type(const Backend& backend, DataType type) {
  return type == DataType::kBfloat16 ? backend.sixteen_bits : type;
}

// FNV-1a over the names of the table, the sizes of their argument structs, and that of the table.
constexpr uint64_t table_fingerprint() {
  uint64_t hash = 14695981039346656037ULL;
  const auto mix = [&hash](const char* text, size_t size) {
    for (; *text != '\0'; ++text) hash = (hash ^ static_cast<unsigned char>(*text)) * 1099511628211ULL;
    hash = (hash ^ size) * 1099511628211ULL;
  };
#define FLES_OP(name, Arguments) mix(#name, sizeof(Arguments));
#include "ops/ops.def"
#undef FLES_OP
  mix("Backend", sizeof(Backend));
  mix("CudaLibrary", 3);  // its form: cuda_library.h
  return hash;
}

}  // namespace fles
