// Runs what concerns the CUDA backend of the test suite, in emulation: every op against its reference, encoder and
// trainer against PyTorch and the CPU backend. Prints how much was run, as every run of the test suite does, and fails
// when an op of the table was not or a test was skipped (scripts/cuda/count.mjs).
import { join } from 'node:path';
import { root, run } from './tools.mjs';

const vitest = join(root, 'node_modules/vitest/vitest.mjs');
const files = ['test/ops', 'test/cuda', 'test/train/gradients.test.ts', 'test/encode/parity.test.ts'];
process.exit(run(process.execPath, [vitest, 'run', ...files, '-t', 'cuda']) ?? 1);
