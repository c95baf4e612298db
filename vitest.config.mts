import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'scripts/cuda/count.mjs',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two workers: the native core already uses every core by itself.
    maxWorkers: 2,
    // CUDA in emulation, which device 'cuda' then is, with float32 products that are exact.
    env: {
      FLES_CUDA_LIBRARY:
        process.env.FLES_CUDA_LIBRARY ??
        fileURLToPath(new URL('build-cuda-emulated/fles-cuda-emulated.so', import.meta.url)),
      FLES_TF32: process.env.FLES_TF32 ?? '0',
    },
  },
});
