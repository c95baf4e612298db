import { rmSync } from 'node:fs';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { FLES1Encoder, type FromPretrainedOptions } from '../../lib/encode/encoder';
import { native } from '../../lib/native';
import { readEmulatorLog } from '../support/emulator-log';
import { readModelFixture } from '../support/fixtures';

// Read when the library is opened, which an import does. Work runs when something waits for it, and the file says what
// the host has asked for.
const folder = await vi.hoisted(async () => {
  const [fs, os, path] = await Promise.all([import('node:fs'), import('node:os'), import('node:path')]);
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'fles-overlap-'));
  process.env.FLES_EMULATE_STREAMS = 'lazy:3';
  process.env.FLES_EMULATE_LOG = path.join(made, 'log');
  return made;
});
afterAll(() => rmSync(folder, { recursive: true }));

const cuda = native.platform().backends.find(({ name }) => name === 'cuda');
const emulated = cuda?.description.startsWith('emulated') ?? false;
const fixture = readModelFixture('bert-wide');
const texts = Array.from({ length: 48 }, (_, i) => fixture.texts.slice(i % 14, (i % 14) + 1 + (i % 3)).join(' '));
texts[5] = ' '; // no terms

/** What `encode` asks of the device, after a first time in which memory is allocated. */
async function logOf<T>(options: FromPretrainedOptions, encode: (encoder: FLES1Encoder) => Promise<T>) {
  const encoder = await FLES1Encoder.fromPretrained(fixture.directory, { device: 'cuda', ...options });
  await encode(encoder);
  const before = readEmulatorLog().length;
  const result = await encode(encoder);
  const lines = readEmulatorLog().slice(before);
  encoder.dispose();
  const launching = lines.find(({ what }) => what === 'launch')!.thread;
  const of = (thread: (name: string) => boolean) => lines.filter((line) => thread(line.thread)).map(({ what }) => what);
  return { result, queueing: of((name) => name === launching), collecting: of((name) => name !== launching) };
}

describe.skipIf(!emulated)('the host while a device computes', () => {
  test.each(['float32', 'bfloat16', 'int8'] as const)(
    'waits for a batch in %s thrice, and never where batches are queued',
    async (dtype) => {
      const batches = 12;
      const { result, queueing, collecting } = await logOf({ dtype }, (encoder) =>
        encoder.encodeBatch(texts, { batchSize: texts.length / batches, dropSpecialTokens: true }),
      );
      // Nothing has been run of a batch when the next one is queued, unless the thread that collects has waited for it.
      expect(queueing.filter((what) => what === 'wait for work')).toEqual([]);
      expect(queueing.filter((what) => what.startsWith('copy to host'))).toEqual([]);
      // Offsets, terms and weights.
      expect(collecting.filter((what) => what.startsWith('copy'))).toHaveLength(3 * batches);
      expect(collecting.filter((what) => what.startsWith('wait'))).toHaveLength(3 * batches);
      expect(collecting.filter((what) => what === 'launch')).toEqual([]);

      const reference = await FLES1Encoder.fromPretrained(fixture.directory, { device: 'cuda', dtype });
      const { offsets, terms, weights } = await reference.encodeBatch(texts, {
        batchSize: texts.length,
        dropSpecialTokens: true,
      });
      reference.dispose();
      expect([result.offsets, result.terms, result.weights]).toEqual([offsets, terms, weights]);
      expect(result.row(5).nnz).toBe(0);
    },
  );

  test('waits for a batch as often with 4 texts as with 32, and without terms once', async () => {
    const waits = async (count: number, options = {}) => {
      const { collecting } = await logOf({}, (encoder) =>
        encoder.encodeBatch(texts.slice(10, 10 + count), { batchSize: count, ...options }),
      );
      return collecting.filter((what) => what.startsWith('wait')).length;
    };
    expect(await waits(4)).toBe(3);
    expect(await waits(32)).toBe(3);
    expect(await waits(32, { threshold: 1e6 })).toBe(1);
  });

  test('waits for a batch of dense vectors once, and never where batches are queued', async () => {
    const { queueing, collecting } = await logOf({ mode: 'dense' }, (encoder) =>
      encoder.encodeDense(texts, { batchSize: 4 }),
    );
    expect(queueing.filter((what) => what === 'wait for work' || what.startsWith('copy to host'))).toEqual([]);
    expect(collecting.filter((what) => what.startsWith('wait'))).toHaveLength(12);
  });
});
