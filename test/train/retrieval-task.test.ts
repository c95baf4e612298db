import { writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { native } from '../../lib/native';
import type { TrainConfigChanges } from '../../lib/train/config';
import { Trainer } from '../../lib/train/trainer';
import { fakeTrainer } from './fake-trainer';
import { pairs, tinyRun } from './tiny-run';

const real = native.NativeTrainer;
beforeEach(() => {
  native.NativeTrainer = fakeTrainer();
});
afterEach(() => {
  native.NativeTrainer = real;
});

/** The notes of a run on these examples. */
async function notesOf(examples: readonly object[], changes: TrainConfigChanges): Promise<string[]> {
  const tiny = await tinyRun();
  await writeFile(tiny.data, examples.map((example) => `${JSON.stringify(example)}\n`).join(''));
  const notes: string[] = [];
  await new Trainer(tiny.config('out', { steps: 8, ...changes })).run({ onNote: (note) => notes.push(note) });
  return notes;
}

test('an epoch has all examples where there are fewer than it could have, and a note says so', async () => {
  expect(await notesOf(pairs, { batch: { examples: 200_000 } })).toEqual([
    'the data has 64 examples, fewer than batch.examples=200000: an epoch has all of them',
  ]);
  expect(await notesOf(pairs, { batch: { examples: 64 } })).toEqual([]);
});

test('an epoch shorter than a step is refused with the key to change', async () => {
  await expect(notesOf(pairs.slice(0, 5), {})).rejects.toMatchObject({
    code: 'ERR_DATA_EXHAUSTED',
    message: expect.stringMatching(/has 5 examples, expected 8 or more, .*; lower batch.queries or add data$/),
  });
});

describe('negatives of the data', () => {
  const mined = pairs.map((pair) => ({ ...pair, negatives: ['the sea was salt'], scores: [1, 0] }));
  const left = { batch: { givenNegatives: 0 } };

  test('that the recipe leaves out are told of', async () => {
    expect(await notesOf(mined, left)).toEqual([expect.stringContaining('set batch.givenNegatives=null to learn')]);
    expect(await notesOf(mined, {})).toEqual([]);
    expect(await notesOf(pairs, left)).toEqual([]);
  });

  test('that the recipe leaves out cannot be learnt from by their scores', async () => {
    const changes = { ...left, loss: { distillation: { kl: 1 } } };
    await expect(notesOf(mined, changes)).rejects.toMatchObject({
      code: 'ERR_CONFIG_CONFLICT',
      message: expect.stringContaining('loss.distillation.kl is 1 but batch.givenNegatives is 0'),
    });
  });
});
