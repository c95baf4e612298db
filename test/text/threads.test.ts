import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tinyModel } from '../cli/run-fles';

/** Threads that a process of its own has more for having tokenised. */
function threadsOf(variables: Record<string, string>): number {
  const script = `
    const { readdirSync } = require('node:fs');
    const { Tokenizer } = require('./dist/text/tokenizer.js');
    const threads = () => readdirSync('/proc/self/task').length;
    (async () => {
      const tokenizer = await Tokenizer.load(${JSON.stringify(tinyModel)});
      const before = threads();
      await tokenizer.encodeBatch(Array.from({ length: 64 }, (_, i) => 'word' + i));
      console.log(threads() - before);
    })();`;
  const { RAYON_NUM_THREADS: _, FLES_NUM_THREADS: __, ...others } = process.env;
  const env = { ...others, ...variables };
  return Number(
    execFileSync(process.execPath, ['-e', script], { encoding: 'utf8', env, cwd: join(__dirname, '../..') }),
  );
}

test.skipIf(process.platform !== 'linux')(
  'the library has as many threads as FLES_NUM_THREADS, unless it is told',
  () => {
    const one = threadsOf({ FLES_NUM_THREADS: '1' });
    expect(threadsOf({ FLES_NUM_THREADS: '5' }) - one).toBe(4);
    expect(threadsOf({ FLES_NUM_THREADS: '5', RAYON_NUM_THREADS: '3' }) - one).toBe(2);
  },
);
