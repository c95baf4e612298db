import { rmSync } from 'node:fs';
import { afterAll, expect, test, vi } from 'vitest';
// @ts-expect-error a module without types
import { headScratch } from '../../bench/support/cuda-kernels.mjs';
import { native } from '../../lib/native';
import { readEmulatorLog } from '../support/emulator-log';
import { offsetsOf, randomFloats, runOp, unwritten } from '../support/native-ops';

// Read when the library is opened, which an import does.
const folder = await vi.hoisted(async () => {
  const [fs, os, path] = await Promise.all([import('node:fs'), import('node:os'), import('node:path')]);
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'fles-memory-'));
  process.env.FLES_EMULATE_LOG = path.join(made, 'log');
  return made;
});
afterAll(() => rmSync(folder, { recursive: true }));

const cuda = native.platform().backends.find(({ name }) => name === 'cuda');
const CUBLAS = 32 * 2 ** 20; // its workspace
const allocations = () =>
  readEmulatorLog().flatMap(({ what }) => /^allocate (\d+)$/.exec(what)?.slice(1).map(Number) ?? []);

// The input is 1.5 times the outputs in bfloat16: short texts of many columns and few terms, which the emulator multiplies
// in little time. Scratch memory comes by the MiB, so that all of this is larger than one.
test.skipIf(!cuda?.description.startsWith('emulated'))(
  'the head converts its input in no more than its outputs',
  () => {
    const [B, C, V] = [2560, 192, 128];
    const lengths: number[] = Array(B).fill(2);
    const T = 2 * B;
    const outputs = 4 * B * V;
    expect(2 * T * C).toBe(1.5 * outputs);
    const args = {
      ...{ B, T, C, V, pooling: 'max', cut: 0, dtype: 'bfloat16' },
      in: randomFloats(T * C, 1),
      weight: randomFloats(V * C, 2),
      bias: randomFloats(V, 3),
      offsets: offsetsOf(lengths),
    };
    const { pooled } = runOp('cuda', 'sparse_head', args, { pooled: unwritten(B * V) });
    expect(pooled.includes(Number.NaN)).toBe(false);

    const given = [CUBLAS, 4 * T * C, 2 * V * C, 4 * V, outputs];
    const [largest] = allocations()
      .filter((bytes) => !given.includes(bytes))
      .sort((a, b) => b - a);
    const rows = headScratch({ lengths, C, V, type: 'bfloat16' }).forward[
      'rows of the input in the type of the product'
    ];
    expect(largest).toBe(rows);
    expect(rows).toBeLessThanOrEqual(outputs);
    expect(rows).toBeGreaterThan(2 ** 20);
  },
);
