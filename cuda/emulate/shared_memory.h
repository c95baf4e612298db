// The shared memory of one block after another.
#pragma once
#include <cstddef>

namespace emulate {

constexpr size_t kSharedBytes = size_t{48} << 10;        // without cudaFuncSetAttribute
constexpr size_t kSharedBytesOptIn = size_t{163} << 10;  // with it: an A100's, which is less than an H100's
// The same for the capability that is emulated: A100's and H100's are the largest.
size_t shared_bytes_opt_in(int device);

// Every variable has the alignment that it was declared with and no better: its address is `align` modulo 2 `align`, so
// that UBSan sees an access that needs more. It starts as NaN. Around it are red zones: AddressSanitizer guards them,
// and without it writes behind a variable are found when the block has ended.
class SharedMemory {
 public:
  SharedMemory();

  // `limit`: bytes that variables and dynamic memory may take together.
  void start_block(size_t dynamic_bytes, size_t limit);
  // False if the red zone behind a variable was written.
  bool end_block();

  // The variable of a place of the source, made when the block first asks for it; null when there is no more room.
  void* variable(const void* site, size_t bytes, size_t align);
  void* dynamic() const { return dynamic_; }
  bool contains(const void* address, size_t bytes) const;
  size_t bytes() const { return bytes_; }

 private:
  struct Variable {
    const void* site;
    char* memory;
    size_t bytes;
  };
  static constexpr int kMaxVariables = 256;
  static constexpr size_t kRedZone = 256;  // at least, of which the first bytes are looked at
  static constexpr size_t kLookedAt = 64;
  static constexpr size_t kArena = kSharedBytesOptIn + 2 * kMaxVariables * kRedZone;

  char* place(size_t bytes, size_t align);
  bool intact(const char* memory, size_t bytes) const;

  char* arena_;
  size_t used_ = 0;   // of the arena
  size_t bytes_ = 0;  // of variables and dynamic memory
  size_t limit_ = 0;
  Variable variables_[kMaxVariables];
  int count_ = 0;
  char* dynamic_ = nullptr;
  size_t dynamic_bytes_ = 0;
};

}  // namespace emulate
