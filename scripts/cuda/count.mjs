// Counts what tests run on the CUDA backend, and prints it at the end of every run of them that had some of it. A run of
// all tests of the ops fails when an op of the table was not run there, or a test of CUDA was skipped.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../tools.mjs';

/** Called by Vitest before the tests (`globalSetup` of vitest.config.mts); what it returns, behind them. */
export default function count({ vitest }) {
  const folder = mkdtempSync(join(tmpdir(), 'fles-cuda-'));
  const runs = join(folder, 'runs.jsonl');
  process.env.FLES_CUDA_RUNS = runs; // each run of an op is a line: test/support/native-ops.ts
  return () => {
    const lines = existsSync(runs) ? readFileSync(runs, 'utf8').trim().split('\n') : [];
    rmSync(folder, { recursive: true });
    if (lines.length > 0) report(lines, vitest);
  };
}

function report(lines, vitest) {
  const opsRun = lines.map((line) => JSON.parse(line)[0]);
  const ops = new Set(opsRun);
  const backward = opsRun.filter((op) => op.endsWith('_backward')).length;
  const table = readFileSync(join(root, 'cpp/ops/ops.def'), 'utf8');
  const names = [...table.matchAll(/^FLES_OP\((\w+),/gm)].map(([, name]) => name);
  const modules = vitest.state.getTestModules();
  // Tests of other devices are not selected by `-t cuda`; one that is and was not run was skipped.
  const skipped = modules
    .flatMap(({ children }) => [...children.allTests('skipped')])
    .map(({ fullName }) => fullName)
    .filter((name) => /cuda/i.test(name));
  console.log(
    `CUDA in emulation: ${ops.size} of ${names.length} ops, ${new Set(lines).size} shapes, ${lines.length} runs, ` +
      `${backward} of them backward passes, ${skipped.length} tests skipped`,
  );
  const files = new Set(modules.map(({ moduleId }) => moduleId));
  const tests = readdirSync(join(root, 'test/ops')).filter((name) => name.endsWith('.test.ts'));
  const chosen = vitest.config.testNamePattern?.source ?? 'cuda';
  const whole = chosen === 'cuda' && tests.every((name) => files.has(join(root, 'test/ops', name)));
  if (!whole) return;
  const missing = names.filter((name) => !ops.has(name));
  if (missing.length > 0) fault(`ERR_TEST_MISSING no test ran ${missing.join(', ')} on the CUDA backend`);
  if (skipped.length > 0) fault(`ERR_TEST_SKIPPED ${skipped.join('; ')}`);
}

function fault(message) {
  console.error(`error: ${message}`);
  process.exitCode = 1;
}
