// Kernels with bugs, for planted_bugs.cu.
#pragma once
#include "gpu.h"

namespace {

// Each thread adds its value and its neighbour's, by way of shared memory.
enum class Neighbour { kCorrect, kNoBarrier, kReadsBehind, kWritesBehind, kWritesBehindOutput };

template <Neighbour bug>
__global__ void neighbour(const float* in, float* out, int n) {
  GPU_SHARED(float, values, [64]);
  const int t = threadIdx.x;
  values[t] = in[blockIdx.x * 64 + t];
  if (bug != Neighbour::kNoBarrier) __syncthreads();
  const int other = bug == Neighbour::kReadsBehind ? t + 1 : (t + 1) % 64;
  if (bug == Neighbour::kWritesBehind) values[t == 0 ? 64 : t] = values[t];
  const float sum = values[t] + values[other];
  out[bug == Neighbour::kWritesBehindOutput && t == 63 ? n : blockIdx.x * 64 + t] = sum;
}

__global__ void overwrites_while_others_read(const float* in, float* out, int rounds) {
  GPU_SHARED(float, values, [64]);
  float sum = 0;
  for (int round = 0; round < rounds; ++round) {
    values[threadIdx.x] = in[round * 64 + threadIdx.x];
    __syncthreads();
    sum += values[63 - threadIdx.x];  // a second barrier is missing
  }
  out[threadIdx.x] = sum;
}

__global__ void barrier_in_a_branch(float* out) {
  if (threadIdx.x < 32) __syncthreads();
  out[threadIdx.x] = 1;
}

__global__ void barriers_of_two_branches(float* out) {
  if (threadIdx.x < 32) {
    out[threadIdx.x] = 1;
    __syncthreads();
  } else {
    __syncthreads();
  }
}

__global__ void exit_before_a_barrier(float* out, int n) {
  if (static_cast<int>(threadIdx.x) >= n) return;
  __syncthreads();
  out[threadIdx.x] = 1;
}

__global__ void warp_in_step(const float* in, float* out) {
  GPU_SHARED(float, values, [32]);
  values[threadIdx.x] = in[threadIdx.x];
  out[threadIdx.x] = values[31 - threadIdx.x];  // __syncwarp is missing
}

__global__ void shuffle_in_a_branch(const float* in, float* out) {
  float value = in[threadIdx.x];
  if (threadIdx.x < 16) value += __shfl_xor_sync(0xFFFFFFFFU, value, 1);
  out[threadIdx.x] = value;
}

__global__ void shuffle_after_an_exit(const float* in, float* out) {
  if (threadIdx.x >= 24) return;
  out[threadIdx.x] = __shfl_down_sync(0xFFFFFFFFU, in[threadIdx.x], 1);
}

__global__ void different_shuffles(const float* in, float* out) {
  float value = in[threadIdx.x];
  if (threadIdx.x % 2 == 0) {
    value += __shfl_xor_sync(0xFFFFFFFFU, value, 1);
  } else {
    value -= __shfl_xor_sync(0xFFFFFFFFU, value, 2);
  }
  out[threadIdx.x] = value;
}

__global__ void shuffle_from_outside_the_mask(const float* in, float* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_xor_sync(0xFFFFU, in[threadIdx.x], 16);
}

__global__ void shuffle_by_a_whole_warp(const float* in, float* out) {
  float value = in[threadIdx.x];
  for (int offset = 1; offset <= 32; offset *= 2) value += __shfl_up_sync(0xFFFFFFFFU, value, offset);
  out[threadIdx.x] = value;
}

__global__ void vector_of_unaligned_shared(const float* in, float* out) {
  GPU_SHARED(float, values, [64]);  // aligned for float
  values[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  if (threadIdx.x >= 16) return;
  const float4 four = reinterpret_cast<const float4*>(values)[threadIdx.x];
  out[threadIdx.x] = four.x + four.w;
}

__global__ void vector_of_unaligned_global(const float* in, float* out) {
  const float4 four = *reinterpret_cast<const float4*>(in + 1);
  out[threadIdx.x] = four.x;
}

__global__ void unset_shared(float* out) {
  GPU_SHARED(float, values, [64]);
  if (threadIdx.x < 63) values[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = values[threadIdx.x];
}

__global__ void blocks_add(float* out) { out[0] += 1; }

__global__ void threads_count(float* out) {
  GPU_SHARED(unsigned, counts, [4]);
  if (threadIdx.x < 4) counts[threadIdx.x] = 0;
  __syncthreads();
  counts[threadIdx.x % 4]++;
  __syncthreads();
  if (threadIdx.x < 4) out[threadIdx.x] = static_cast<float>(counts[threadIdx.x]);
}

// The 128 values, reversed, by way of an asynchronous copy.
enum class Async { kCorrect, kNoWait, kNoBarrier };

template <Async bug>
__global__ void reversed(const float* in, float* out) {
  GPU_SHARED_ALIGN(16, float, values, [128]);
  ptx::copy_async_16(&values[threadIdx.x * 4], in + threadIdx.x * 4, 16);
  ptx::copy_async_commit();
  if (bug != Async::kNoWait) ptx::copy_async_wait<0>();
  if (bug != Async::kNoBarrier) __syncthreads();
  for (int i = 0; i < 4; ++i) out[threadIdx.x * 4 + i] = values[127 - threadIdx.x * 4 - i];
}

// The copy may arrive before the values are written there, or after.
__global__ void copy_to_what_is_written(const float* in, float* out) {
  GPU_SHARED_ALIGN(16, float, values, [128]);
  ptx::copy_async_16(&values[threadIdx.x * 4], in + threadIdx.x * 4, 16);
  ptx::copy_async_commit();
  for (int i = 0; i < 4; ++i) values[threadIdx.x * 4 + i] = 1;
  __syncthreads();
  for (int i = 0; i < 4; ++i) out[threadIdx.x * 4 + i] = values[127 - threadIdx.x * 4 - i];
}

// The next copy is issued while others still read what it overwrites.
__global__ void copy_into_what_is_read(const float* in, float* out, int rounds) {
  GPU_SHARED_ALIGN(16, float, values, [128]);
  float sum = 0;
  for (int round = 0; round < rounds; ++round) {
    ptx::copy_async_16(&values[threadIdx.x * 4], in + round * 128 + threadIdx.x * 4, 16);
    ptx::copy_async_commit();
    ptx::copy_async_wait<0>();
    __syncthreads();
    sum += values[127 - threadIdx.x * 4];
  }
  out[threadIdx.x] = sum;
}

__global__ void copy_to_global(const float* in, float* out) { ptx::copy_async_16(out, in, 16); }

__global__ void matrices_of_unaligned_rows(float* out) {
  GPU_SHARED_ALIGN(16, unsigned short, values, [32][12]);  // rows of 24 bytes
  unsigned registers[4];
  ptx::load_matrix_x4(registers, values[threadIdx.x]);
  out[threadIdx.x] = static_cast<float>(registers[0]);
}

__global__ void twice(const float* in, float* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = in[i] * 2;
}

__global__ void divides(float* out, int n) { out[threadIdx.x] = static_cast<float>(static_cast<int>(threadIdx.x) / n); }

__global__ void one_behind_dynamic(float* out, int n) {
  GPU_DYNAMIC_SHARED(float, values);
  values[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = values[(threadIdx.x + 1) % (n + 1)];
}

__global__ void much_shared(float* out) {
  GPU_SHARED(float, values, [40 * 256]);
  GPU_DYNAMIC_SHARED(float, more);
  values[threadIdx.x] = more[threadIdx.x] = 1;
  out[threadIdx.x] = values[threadIdx.x] + more[threadIdx.x];
}

}  // namespace
