// What the arithmetic units can do at most: multiply-adds on registers alone. Included after simd.inl.

constexpr int kChains = 12;  // enough to cover the latency of two units, and no level has fewer registers

// `steps` x kChains multiply-adds of vectors, each chain waiting only for itself; returns a value that depends on all.
static float multiply_add_chains(int64_t steps, float factor, float term) {
  vf chains[kChains];
  for (int i = 0; i < kChains; ++i) chains[i] = splat(0.1f * static_cast<float>(i));
  for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) chains[i] = chains[i] * factor + term;
  }
  vf sum = vf{};
  for (int i = 0; i < kChains; ++i) sum += chains[i];
  return sum_lanes(sum);
}
constexpr int kChainFlops = 2 * kChains * W;
