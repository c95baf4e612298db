// What the native tests (test/native) share with those under emulation: the runs of the ops, to be done again at every
// level; a program that needs nothing around it; and the levels that must have been tested.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildNativeTests, fail, missing, require, root, run } from './tools.mjs';

/** The levels that an architecture has, the best last. */
export function levelsOf(architecture) {
  const lines = readFileSync(join(root, 'cpp/cpu/levels.txt'), 'utf8').split('\n');
  const own = lines.map((line) => line.split(' ')).filter(([first]) => first === architecture);
  return ['portable', ...own.map(([, level]) => level)];
}

/** The native tests as one static program, and the folder with what the tests of the ops run and expect. */
export function prepare(folder, ...options) {
  const googletest = process.env.FLES_GOOGLETEST ?? '/usr/src/googletest';
  if (!existsSync(googletest))
    missing('gtest', `${googletest} (or FLES_GOOGLETEST), GoogleTest's sources, is not there`);
  const flags = ['-DCMAKE_EXE_LINKER_FLAGS=-static', `-DFLES_GOOGLETEST=${googletest}`];
  const program = buildNativeTests(folder, ...flags, ...options);

  return { program, records: recordOps(join(folder, 'ops')) };
}

/** Runs the tests of the ops, and writes what they run and expect into a folder of the package. The folder. */
export function recordOps(folder) {
  const records = join(root, folder);
  rmSync(records, { recursive: true, force: true });
  mkdirSync(records, { recursive: true });
  const vitest = join(dirname(require.resolve('vitest/package.json')), 'vitest.mjs');
  const env = { ...process.env, FLES_RECORD_OPS: records, NO_COLOR: '1' };
  const tests = ['run', '--reporter=dot', 'test/ops', '-t', 'cpu:portable'];
  const status = run(process.execPath, [vitest, ...tests], { env });
  if (status !== 0) fail('ERR_TEST the tests of the ops, which are to be run again, fail on this machine');
  return records;
}
