import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { native } from '../../lib/native';
import { maskTokens } from '../../lib/train/mlm-task';
import { readLog } from '../../lib/train/run-log';
import { Trainer } from '../../lib/train/trainer';
import { fakeTrainer } from './fake-trainer';
import { tinyRun } from './tiny-run';

const masking = {
  share: 0.15,
  words: [1, 0, 0],
  special: { cls: 2, sep: 3, mask: 4 },
  specialIds: [0, 1, 2, 3, 4],
  vocabularySize: 1000,
};

/** Texts of `length` word pieces between [CLS] and [SEP]. */
function batch(texts: number, length: number) {
  const text = [2, ...Array.from({ length }, (_, i) => 5 + (i % 900)), 3];
  return {
    tokens: Int32Array.from(Array.from({ length: texts }, () => text).flat()),
    offsets: Int32Array.from({ length: texts + 1 }, (_, i) => i * text.length),
  };
}

test('15% of the word pieces are hidden: 80% by [MASK], 10% by a random token, 10% not at all', () => {
  const before = batch(100, 200);
  const after = batch(100, 200);
  const labels = maskTokens(after, masking);
  const hidden = [...labels.keys()].filter((i) => labels[i]! >= 0);
  // 20,000 draws: the deviation of a share of 0.15 is 0.0025, of 0.8 of 3,000 it is 0.007.
  expect(hidden.length / 20_000).toBeCloseTo(0.15, 2);
  expect(hidden.every((i) => labels[i] === before.tokens[i])).toBe(true);
  const masked = hidden.filter((i) => after.tokens[i] === 4).length;
  const same = hidden.filter((i) => after.tokens[i] === before.tokens[i]).length;
  expect(masked / hidden.length).toBeCloseTo(0.8, 1);
  expect(same / hidden.length).toBeCloseTo(0.1, 1);
  expect([...labels.keys()].every((i) => labels[i]! >= 0 || after.tokens[i] === before.tokens[i])).toBe(true);
});

test('special tokens are never hidden, and each text with word pieces has one hidden', () => {
  const short = batch(200, 1);
  const labels = maskTokens(short, masking);
  for (let text = 0; text < 200; text++) expect([...labels.subarray(3 * text, 3 * text + 3)]).toEqual([-1, 5, -1]);
  const empty = batch(3, 0);
  expect([...maskTokens(empty, masking)]).toEqual([-1, -1, -1, -1, -1, -1]);
});

test('the same step hides the same tokens, another one others', () => {
  const labels = (step: number) => [...maskTokens(batch(4, 50), { ...masking, words: [1, 0, step] })];
  expect(labels(3)).toEqual(labels(3));
  expect(labels(3)).not.toEqual(labels(4));
});

describe('the texts', () => {
  const real = native.NativeTrainer;
  beforeEach(() => {
    native.NativeTrainer = fakeTrainer();
  });
  afterEach(() => {
    native.NativeTrainer = real;
  });

  /** The epoch after 3 steps of 4 texts, which says how many texts there are. */
  async function textsOf(...files: [name: string, lines: readonly object[]][]) {
    const tiny = await tinyRun();
    const paths = files.map(([name]) => join(tiny.folder, name));
    for (const [i, [, lines]] of files.entries()) {
      await writeFile(paths[i]!, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    }
    const config = tiny.config('out', { task: 'mlm', steps: 3, batch: { queries: 4, negatives: 0 }, data: { paths } });
    await new Trainer(config).run();
    const lines = await readLog(join(tiny.folder, 'out', 'metrics.jsonl'));
    const epoch = lines.flatMap((line) => (line.kind === 'step' ? [line.epoch] : [])).at(-1)!;
    return Math.round((3 * 4) / epoch);
  }
  const animals = Array.from({ length: 12 }, () => ({ text: 'the cat was red and it sat there' }));

  test('need no ids', async () => {
    expect(await textsOf(['a.jsonl', animals])).toBe(12);
  });

  test('come from several files, of texts and of pairs', async () => {
    const pair = { query: 'who saw the owl', positive: 'the owl was blue' };
    expect(await textsOf(['a.jsonl', animals], ['b.jsonl', animals], ['c.jsonl', Array(8).fill(pair)])).toBe(32);
  });

  test('without a word piece are passed over', async () => {
    const empty = Array.from({ length: 20 }, () => ({ text: '' }));
    expect(await textsOf(['a.jsonl', [...animals, ...empty]])).toBe(32);
    await expect(textsOf(['a.jsonl', empty])).rejects.toMatchObject({
      code: 'ERR_DATA_EXHAUSTED',
      message: expect.stringContaining('has a word piece that could be masked'),
    });
  });

  test('that are compressed are refused as such', async () => {
    const tiny = await tinyRun();
    const path = join(tiny.folder, 'texts.jsonl');
    await writeFile(path, gzipSync(JSON.stringify(animals[0])));
    const config = tiny.config('out', { task: 'mlm', data: { paths: [path] } });
    await expect(new Trainer(config).run()).rejects.toMatchObject({ code: 'ERR_FILE_COMPRESSED' });
  });
});
