// The k largest of a row, by a block: a radix search for the k-th largest key, then a walk that keeps their order.
#pragma once
#include "reduce.cuh"

namespace fles::cuda {

constexpr int kSelectThreads = 256;  // a bin each

// Sum of the values of the threads before this one. All threads of the block must call it.
__device__ __forceinline__ int block_prefix(int value) {
  GPU_SHARED(int, sums, [kSelectThreads / 32]);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int sum = value;
  for (int offset = 1; offset < 32; offset *= 2) {
    const int before = __shfl_up_sync(0xFFFFFFFFU, sum, offset);
    if (lane >= offset) sum += before;
  }
  if (lane == 31) sums[warp] = sum;
  __syncthreads();
  for (int w = 0; w < warp; ++w) sum += sums[w];
  __syncthreads();  // before the next call writes the sums
  return sum - value;
}

// What divides the k largest keys from the rest: all greater keys are kept, and the first `ties` of the equal ones.
struct Cut {
  unsigned key;
  int ties;
};

// Of a row with more than k keys above 0, k > 0. Eight bits of the key at a time, from the highest.
template <class Key>
__device__ Cut find_cut(int V, int k, const Key& key_of) {
  GPU_SHARED(int, bins, [256]);
  GPU_SHARED(Cut, found, [1]);
  Cut cut{0, k};
  unsigned known = 0;  // bits of cut.key
  for (int shift = 24; shift >= 0; shift -= 8) {
    bins[threadIdx.x] = 0;
    __syncthreads();
    for (int v = threadIdx.x; v < V; v += kSelectThreads) {
      const unsigned key = key_of(v);
      if (key != 0 && (key & known) == cut.key) atomicAdd(&bins[key >> shift & 255], 1);
    }
    __syncthreads();
    const unsigned bin = 255 - threadIdx.x;
    const int count = bins[bin], greater = block_prefix(count);
    if (greater < cut.ties && cut.ties <= greater + count) found[0] = {cut.key | bin << shift, cut.ties - greater};
    __syncthreads();
    cut = found[0];
    known |= 255U << shift;
  }
  return cut;
}

// keep(v, place) for those of 0..V-1 that have the k largest keys, of equal ones the lowest; a key of 0 is not kept.
// Places count from 0 in the order of v, and one thread calls each. Returns how many there are. All threads of a block
// of kSelectThreads must call it.
template <class Key, class Keep>
__device__ int keep_largest(int V, int k, const Key& key_of, const Keep& keep) {
  if (k == 0) return 0;
  // A warp walks over a stretch of the row.
  const int lane = threadIdx.x % 32, stretch = (V + kSelectThreads - 1) / kSelectThreads * 32;
  const int first = threadIdx.x / 32 * stretch, last = min(V, first + stretch);
  Cut cut{0, 0};
  int greater = 0, equal = 0;
  for (int v = first + lane; v < last; v += 32) greater += key_of(v) != 0 ? 1 : 0;
  int count = block_sum<kSelectThreads>(greater);
  if (count > k) {
    count = k;
    cut = find_cut(V, k, key_of);
    greater = 0;
    for (int v = first + lane; v < last; v += 32) {
      const unsigned key = key_of(v);
      greater += key > cut.key ? 1 : 0;
      equal += key == cut.key ? 1 : 0;
    }
  }
  // What lies before the warp's stretch: what its first lane says.
  const int ties_before = min(cut.ties, __shfl_sync(0xFFFFFFFFU, block_prefix(equal), 0));
  int place = __shfl_sync(0xFFFFFFFFU, block_prefix(greater), 0) + ties_before;
  int ties = cut.ties - ties_before;  // that are left
  for (int start = first; start < first + stretch; start += 32) {
    const int v = start + lane;
    const unsigned key = v < V ? key_of(v) : 0, before = (1U << lane) - 1;
    const unsigned tied = __ballot_sync(0xFFFFFFFFU, key == cut.key);
    const bool kept = key > cut.key || (key == cut.key && __popc(tied & before) < ties);
    const unsigned all = __ballot_sync(0xFFFFFFFFU, kept);
    if (kept) keep(v, place + __popc(all & before));
    place += __popc(all);
    ties -= min(ties, __popc(tied));
  }
  return count;
}

}  // namespace fles::cuda
