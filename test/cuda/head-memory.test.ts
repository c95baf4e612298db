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
  process.env.FLES_EMULATE_DEVICES = '3'; // a new one for each test
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
      ...{ B, T, C, V, pooling: 'max', cut: 0, least: 0, least_from: 0, dtype: 'bfloat16' },
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

// Scratch memory is allocated as it is asked for where it is larger than a MiB; what is smaller shares one of that size.
test.skipIf(!cuda?.description.startsWith('emulated')).each([
  ['max', 'cuda:1', 'backward', 'terms with a gradient'],
  ['sum', 'cuda:2', 'backwardOfSums', 'logits of some terms'],
] as const)(
  'the gradient of the head takes no more than its formula says (%s)',
  (pooling, device, direction, largest) => {
    const [B, C, V] = [512, 8, 1024];
    const lengths: number[] = Array(B).fill(8);
    const T = 8 * B;
    const args = {
      ...{ B, T, C, V, pooling },
      // Few gradients: the emulator goes through them one by one.
      d_pooled: randomFloats(B * V, 1).map((value, i) => (i % 97 === 0 ? value : 0)),
      argmax: pooling === 'max' ? Int32Array.from({ length: B * V }, (_, i) => 8 * Math.floor(i / V) + (i % 8)) : null,
      in: randomFloats(T * C, 2),
      weight: randomFloats(V * C, 3),
      bias: randomFloats(V, 4),
      offsets: offsetsOf(lengths),
    };
    const before = allocations().length;
    const { d_in } = runOp(device, 'sparse_head_backward', args, {
      d_in: unwritten(T * C),
      d_weight: new Float32Array(V * C),
      d_bias: new Float32Array(V),
    });
    expect(d_in.includes(Number.NaN)).toBe(false);

    const given = [
      CUBLAS,
      ...[args.d_pooled, args.argmax, args.in, args.weight, args.bias].map((one) => one?.byteLength),
    ];
    given.push(4 * T * C, 4 * V * C, 4 * V);
    const scratch = allocations().slice(before);
    for (const bytes of given) if (bytes !== undefined) scratch.splice(scratch.indexOf(bytes), 1);
    const { [largest]: most, ...others } = headScratch({ lengths, C, V, type: 'float32' })[direction];
    expect(scratch).toEqual([most, 2 ** 20]);
    expect(most).toBe(2 ** 21);
    expect(Object.values<number>(others).reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(2 ** 20);
  },
);
