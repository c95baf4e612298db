#include "cpu/backend_cpu.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "core/error.h"
#include "cpu/levels.h"

namespace fles::cpu {
namespace {

constexpr size_t kAlignment = 64;
constexpr int kRowsAtOnce = 64;
constexpr size_t kHugePage = size_t{2} << 20, kHugePagesFrom = size_t{512} << 20;  // bytes

void* allocate(void*, size_t bytes) {
  // What training keeps of a batch is walked down its columns: with pages of 2 MiB the processor finds them sooner. The
  // weights and batches of an encoder gain little, and a virtual machine may have to ask its host for every such page,
  // which takes longer than loading a model.
  const size_t alignment = bytes >= kHugePagesFrom ? kHugePage : kAlignment;
  const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded == 0 ? kAlignment : rounded);
  if (memory == nullptr) {
    fail("ERR_OUT_OF_MEMORY", "%zu bytes of memory were asked for and refused; use a smaller batch or model", bytes);
  }
#if defined(__linux__)
  if (alignment == kHugePage) (void)::madvise(memory, rounded, MADV_HUGEPAGE);
#endif
  return memory;
}

void release(void*, void* memory) { std::free(memory); }
void copy(void*, void* to, const void* from, size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);  // of nothing, the pointers may be null
}

// All that came before a mark is done when it is set.
Mark* create_mark(void*) { return nullptr; }
void set_mark(void*, Mark*) {}
void copy_at(void* self, const Mark*, void* to, const void* from, size_t bytes) { copy(self, to, from, bytes); }
void release_mark(void*, Mark*) {}

void clear(void*, void* memory, size_t bytes) {
  // A large arena takes a while, and its pages should be spread over the threads that come to use them.
  constexpr size_t kPart = size_t{4} << 20;
  ThreadPool::shared().parallel_for(static_cast<int64_t>((bytes + kPart - 1) / kPart), [&](int64_t i, int) {
    const size_t first = static_cast<size_t>(i) * kPart;
    std::memset(static_cast<char*>(memory) + first, 0, bytes - first < kPart ? bytes - first : kPart);
  });
}

PackedMatrix* create_packed(void* self, int N, int K, DataType type) {
  const State& state = state_of(self);
  const int NR = state.kernels->NR;
  const auto panel = static_cast<size_t>(state.products(type).panel_bytes(K));
  const size_t bytes = static_cast<size_t>((N + NR - 1) / NR) * panel;
  void* data = allocate(self, bytes);
  // Columns beyond N are multiplied too, and their sums dropped: they must be numbers.
  if (N % NR != 0) std::memset(static_cast<char*>(data) + bytes - panel, 0, panel);
  return new PackedMatrix{N, K, type, data};
}

void pack_rows(void* self, PackedMatrix* matrix, const float* rows, int first, int count) {
  state_of(self).products(matrix->type).pack_weight(rows, count, first, matrix->K, matrix->data);
}

void release_packed(void*, PackedMatrix* matrix) {
  std::free(matrix->data);
  delete matrix;
}

struct Instance {
  State state;
  Backend table{};
};

const Backend& instance_of(const Kernels& kernels) {
  static std::mutex lock;
  static auto* instances = new std::map<const Kernels*, Instance>;  // never destroyed: encoders may outlive statics
  const std::scoped_lock held(lock);
  Instance& instance = (*instances)[&kernels];
  if (instance.table.self == nullptr) {
    instance.state.kernels = &kernels;
    instance.state.pool = &ThreadPool::shared();
    instance.table = Backend{.name = "cpu",
                             .fingerprint = table_fingerprint(),
                             .self = &instance.state,
                             .allocate = allocate,
                             .release = release,
                             .upload = copy,
                             .download = copy,
                             .clear = clear,
                             .create_mark = create_mark,
                             .set_mark = set_mark,
                             .download_at = copy_at,
                             .release_mark = release_mark,
                             .create_packed = create_packed,
                             .pack_rows = pack_rows,
                             .release_packed = release_packed,
                             .rows_at_once = kRowsAtOnce,
                             .memory = 0,
                             .queues = false,
                             .screens = true,
                             .sixteen_bits = sixteen_bits(kernels)
#define FLES_OP(op, Arguments) , .op = op
#include "ops/ops.def"
#undef FLES_OP
    };
  }
  return instance.table;
}

}  // namespace

const Backend& backend() { return instance_of(chosen_kernels()); }
const Backend& backend_at(const std::string& level) { return instance_of(kernels_named(level)); }

Scratch::~Scratch() { std::free(memory_); }

uint8_t* Scratch::bytes(size_t count) {
  if (count > count_) {
    std::free(memory_);
    memory_ = nullptr;
    count_ = 0;
    memory_ = static_cast<uint8_t*>(allocate(nullptr, count));
    count_ = count;
  }
  return memory_;
}

const uint8_t* pack_input(State& state, const ProductKernels& products, const float* in, int T, int K) {
  const int MR = products.MR;
  const int blocks = (T + MR - 1) / MR;
  const auto block_bytes = static_cast<size_t>(products.block_bytes(K));
  uint8_t* packed = state.input.bytes(blocks * block_bytes);
  state.pool->parallel_for(blocks, [&](int64_t block, int) {
    const int64_t first = block * MR;
    const int rows = static_cast<int>(T - first < MR ? T - first : MR);
    products.pack_block(in + first * K, rows, K, K, packed + block * block_bytes);
  });
  return packed;
}

}  // namespace fles::cpu
