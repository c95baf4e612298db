// ops/embedding_backward.h: tokens are sorted by word and place; then a thread adds up one column of one word, or of
// one position, in the order of the tokens.
#include <algorithm>

#include "add_rows.cuh"
#include "column_sums.h"

namespace fles::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kChunk = 1024;  // tokens that a block sorts
constexpr int kColumns = 128;

// The word above, the token's place below: no two are equal.
__device__ __forceinline__ uint64_t key_of(int word, int t) { return uint64_t(word) << 32 | unsigned(t); }

// How many of `count` ascending keys are below one.
__device__ __forceinline__ int count_below(const uint64_t* keys, int count, uint64_t key) {
  int first = 0;
  while (count > 0) {
    const int half = count / 2;
    if (keys[first + half] < key) {
      first += half + 1;
      count -= half + 1;
    } else {
      count = half;
    }
  }
  return first;
}

// A bitonic network sorts each chunk; the last one is filled up with keys above all others.
__global__ void sort_chunks(const int32_t* tokens, int T, uint64_t* chunks) {
  GPU_SHARED(uint64_t, keys, [kChunk]);
  const int first = blockIdx.x * kChunk;
  for (int i = threadIdx.x; i < kChunk; i += kThreads) {
    keys[i] = first + i < T ? key_of(tokens[first + i], first + i) : UINT64_MAX;
  }
  for (int size = 2; size <= kChunk; size *= 2) {
    for (int distance = size / 2; distance > 0; distance /= 2) {
      __syncthreads();
      for (int i = threadIdx.x; i < kChunk / 2; i += kThreads) {
        const int low = i / distance * 2 * distance + i % distance, high = low + distance;
        const uint64_t x = keys[low], y = keys[high];
        if ((x > y) == ((low & size) == 0)) keys[low] = y, keys[high] = x;
      }
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < kChunk; i += kThreads) chunks[first + i] = keys[i];
}

// A key's place is the number of smaller ones: in its own chunk, and in each other.
__global__ void merge_chunks(const uint64_t* chunks, int T, uint64_t* ordered) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= T) return;
  const uint64_t key = chunks[i];
  int place = i % kChunk;
  for (int first = 0; first < T; first += kChunk) {
    if (first != i - i % kChunk) place += count_below(chunks + first, kChunk, key);
  }
  ordered[place] = key;
}

// Block x begins with the token at that place; it has nothing to do unless this is the first of its word.
__global__ void add_words(const uint64_t* ordered, const float* d_sum, float* d_word, int T, int C) {
  const int place = blockIdx.x, c = blockIdx.y * kColumns + threadIdx.x;
  const int word = static_cast<int>(ordered[place] >> 32);
  if (c >= C || (place > 0 && static_cast<int>(ordered[place - 1] >> 32) == word)) return;
  const int last = place + count_below(ordered + place, T - place, key_of(word + 1, 0));
  float* sum = d_word + size_t(word) * C + c;
  *sum = add_rows(*sum, d_sum + c, C, place, last, [&](int i) { return static_cast<int>(ordered[i]); });
}

// sums (.., C): of every position over the texts.
__global__ void add_positions(const int32_t* offsets, const float* d_sum, float* d_position, float* sums, int B,
                              int C) {
  const int position = blockIdx.x, c = blockIdx.y * kColumns + threadIdx.x;
  if (c >= C) return;
  const float sum = add_rows(0, d_sum + c, C, 0, B, [&](int b) {
    const int t = offsets[b] + position;
    return t < offsets[b + 1] ? t : -1;
  });
  const size_t at = size_t(position) * C + c;
  d_position[at] += sum;
  sums[at] = sum;
}

}  // namespace

void embedding_backward(void* self, const EmbeddingBackward& a) {
  if (a.T == 0 || a.C == 0) return;
  const Op op(self, "embedding_backward");
  const int chunk_count = blocks_of(a.T, kChunk);
  auto *chunks = op.scratch<uint64_t>(static_cast<size_t>(chunk_count) * kChunk), *ordered = op.scratch<uint64_t>(a.T);
  op.launch(sort_chunks, chunk_count, kThreads, 0, a.tokens, a.T, chunks);
  op.launch(merge_chunks, blocks_of(a.T, kThreads), kThreads, 0, chunks, a.T, ordered);
  const unsigned columns = blocks_of(a.C, kColumns);
  op.launch(add_words, dim3(a.T, columns), kColumns, 0, ordered, a.d_sum, a.d_word, a.T, a.C);

  int longest = 0;
  for (int b = 0; b < a.B; ++b) longest = std::max(longest, a.offsets[b + 1] - a.offsets[b]);
  auto* sums = op.scratch<float>(static_cast<size_t>(longest) * a.C);
  op.launch(add_positions, dim3(longest, columns), kColumns, 0, op.offsets(a.offsets, a.B), a.d_sum, a.d_position, sums,
            a.B, a.C);
  if (a.d_type != nullptr) add_column_sums(op, sums, longest, a.C, a.d_type);
}

}  // namespace fles::cuda
