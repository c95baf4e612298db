import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { inProcess, NORMED } from './children';

const folder = mkdtempSync(join(tmpdir(), 'fles-opening-'));
afterAll(() => rmSync(folder, { recursive: true }));

type Outcome = number[] | { code: string; message: string };

/** What the host has made, pinned or allocated and not given back, by kind. */
function leftOf(lines: string[]): Record<string, number> {
  const left: Record<string, number> = {};
  const count = (kind: string, by: number) => {
    left[kind] = (left[kind] ?? 0) + by;
  };
  for (const line of lines) {
    const [what, kind] = line.split(' ').slice(1);
    if (what === 'create' || what === 'destroy') count(kind!, what === 'create' ? 1 : -1);
    if (what === 'allocate' || what === 'free') count('memory', what === 'allocate' ? 1 : -1);
    if (what === 'pin' || what === 'unpin') count('pinned', what === 'pin' ? 1 : -1);
  }
  return left;
}

test.each([
  ['FLES_EMULATE_FAIL_ALLOCATION', '1', { stream: 0, cublas: 0 }],
  ['FLES_EMULATE_FAIL_PINNED', '1', { stream: 0, cublas: 0, memory: 0, preference: 0 }],
  ['FLES_EMULATE_FAIL_PINNED', '2', { stream: 0, cublas: 0, memory: 0, preference: 0, pinned: 0 }],
])('cuda that cannot be opened leaves nothing behind, and is opened the next time: %s=%s', (variable, n, nothing) => {
  const log = join(folder, variable + n);
  const { first, lines, second, reference } = inProcess<Record<string, Outcome> & { lines: number }>(
    { [variable]: n, FLES_EMULATE_LOG: log },
    `${NORMED}
    const first = normed('cuda');
    const lines = require('node:fs').readFileSync(process.env.FLES_EMULATE_LOG, 'utf8').split('\\n').length - 1;
    console.log(JSON.stringify({ first, lines, second: normed('cuda'), reference: normed('cpu') }));`,
  );
  expect(first).toMatchObject({ code: 'ERR_OUT_OF_MEMORY' });
  expect(leftOf(readFileSync(log, 'utf8').split('\n').slice(0, lines))).toEqual(nothing);
  for (const [i, value] of (reference as number[]).entries()) expect((second as number[])[i]).toBeCloseTo(value, 5);
});
