// Runs what concerns the CUDA backend of the test suite, in emulation: every op against its reference, encoder and
// trainer against PyTorch and the CPU backend. Prints how much was run, and fails when an op of the table was not or a
// test was skipped.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fail, require, root, run } from './tools.mjs';

const folder = mkdtempSync(join(tmpdir(), 'fles-cuda-'));
const runs = join(folder, 'runs.jsonl');
const report = join(folder, 'report.json');
const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
const vitest = join(root, 'node_modules/vitest/vitest.mjs');
const files = ['test/ops', 'test/cuda', 'test/train/gradients.test.ts', 'test/encode/parity.test.ts'];
const status = run(process.execPath, [vitest, 'run', ...files, '-t', 'cuda', ...reporters], {
  env: { ...process.env, FLES_CUDA_RUNS: runs },
});
const tests = JSON.parse(readFileSync(report, 'utf8')).testResults.flatMap((file) => file.assertionResults);
const seen = readFileSync(runs, 'utf8').trim().split('\n').map(JSON.parse);
rmSync(folder, { recursive: true });

// Tests of other devices do not match; one that does and was not run was skipped.
const skipped = tests.filter(
  ({ fullName, status }) => /cuda/i.test(fullName) && !['passed', 'failed'].includes(status),
);
const { native } = require(join(root, 'dist/native.js'));
const names = native.opNames();
const ops = new Set(seen.map(([op]) => op));
const missing = names.filter((name) => !ops.has(name));
const shapes = new Set(seen.map((one) => JSON.stringify(one)));
const backward = seen.filter(([op]) => op.endsWith('_backward')).length;
console.log(
  `CUDA in emulation: ${ops.size} of ${names.length} ops, ${shapes.size} shapes, ${seen.length} runs, ` +
    `${backward} of them backward passes, ${skipped.length} tests skipped`,
);
if (status !== 0) process.exit(status ?? 1);
if (missing.length > 0) fail(`ERR_TEST_MISSING no test ran ${missing.join(', ')} on the CUDA backend`);
if (skipped.length > 0) fail(`ERR_TEST_SKIPPED ${skipped.map(({ fullName }) => fullName).join('; ')}`);
