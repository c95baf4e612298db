import { describe, expect, test, vi } from 'vitest';
import type { Device } from '../../lib/device';
import { FLES1Encoder } from '../../lib/encode/encoder';
import { native } from '../../lib/native';
import { readModelFixture } from '../support/fixtures';
import { randomFloats, runOp, unwritten } from '../support/native-ops';

// Read when the library is opened, which an import does.
vi.hoisted(() => {
  process.env.FLES_EMULATE_DEVICES = '2';
});

const cuda = native.platform().backends.find(({ name }) => name === 'cuda')!;
const fixture = readModelFixture('bert-wide');
const texts = fixture.texts.slice(1, 9);

describe.skipIf(!cuda.description.startsWith('emulated'))('two cuda devices', () => {
  test('are both described', () => {
    expect(cuda.description).toMatch(/^emulated device, .* MiB; emulated device, .* MiB$/);
  });

  // The emulator refuses a launch on a stream, and a pointer, of a device other than the calling thread's.
  test('run ops in turn with the same bits', () => {
    const args = {
      T: 5,
      C: 7,
      eps: 1e-5,
      in: randomFloats(35, 1),
      gamma: randomFloats(7, 2),
      beta: randomFloats(7, 3),
    };
    const run = (device: string) => runOp(device, 'layernorm', args, { out: unwritten(35) }).out;
    const expected = run('cuda:0');
    for (const device of ['cuda:1', 'cuda:0', 'cuda:1', 'cuda']) expect(run(device)).toEqual(expected);
  });

  test('encode in turn, and at once, with the same bits', async () => {
    const load = (device: Device) => FLES1Encoder.fromPretrained(fixture.directory, { device });
    const [first, second] = [await load('cuda:0'), await load('cuda:1')];
    const encode = async (encoder: FLES1Encoder) => {
      const { offsets, terms, weights } = await encoder.encodeBatch(texts, { batchSize: 2 });
      return [offsets, terms, weights];
    };
    const expected = await encode(first);
    expect(expected[1]!.length).toBeGreaterThan(100);
    expect(await encode(second)).toEqual(expected);
    expect(await encode(first)).toEqual(expected);
    for (const rows of await Promise.all([first, second, first, second].map(encode))) expect(rows).toEqual(expected);
    first.dispose();
    second.dispose();
  });
});
