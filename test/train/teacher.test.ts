import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Tokenizer } from '../../lib/text/tokenizer';
import { createModel } from '../../lib/train/create-model';
import { Teacher } from '../../lib/train/teacher';
import { Trainer } from '../../lib/train/trainer';
import { pairs, tinyRun } from './tiny-run';

describe('a teacher with another vocabulary', () => {
  test('teaches by its scores alone', async () => {
    const tiny = await tinyRun();
    const teacher = join(tiny.folder, 'teacher');
    const texts = pairs.flatMap(({ query, positive }) => [query, positive, 'other words than the student has']);
    await createModel(teacher, { texts, vocabularySize: 200, hiddenSize: 16, layers: 1, heads: 2, maxPositions: 32 });
    const config = tiny.config('out', { steps: 1, loss: { distillation: { teacher, kl: 1 } } });
    await expect(new Trainer(config).run()).resolves.toMatchObject({ steps: 1 });
    const { distillation } = new Trainer(config).config.loss;
    const { vocabulary } = await Tokenizer.load(tiny.model);
    const load = (changes: object) => Teacher.load({ ...distillation, ...changes }, vocabulary, { device: 'cpu' });
    await expect(load({ ranking: 1 })).rejects.toMatchObject({ code: 'ERR_TEACHER_VOCABULARY' });
  });
});

describe('scores in the data', () => {
  const scored = (share: number) =>
    pairs
      .map((pair, i) => ({
        ...pair,
        negatives: [pairs[(i + 9) % 64]!.positive],
        ...(i < 64 * share && { scores: [2, 1] }),
      }))
      .map((pair) => `${JSON.stringify(pair)}\n`)
      .join('');

  test('may be there for some examples', async () => {
    const tiny = await tinyRun();
    await writeFile(tiny.data, scored(1 / 16));
    // Unshuffled, only the first of eight steps has any.
    const changes = {
      batch: { queries: 8, negatives: 1, shuffle: false },
      loss: { distillation: { kl: 1, marginMse: 1 } },
    };
    await expect(new Trainer(tiny.config('out', { ...changes, steps: 8 })).run()).resolves.toMatchObject({ steps: 8 });
  });

  test('are asked for before anything is trained', async () => {
    const tiny = await tinyRun();
    const run = new Trainer(tiny.config('out', { loss: { distillation: { kl: 1 } } })).run();
    await expect(run).rejects.toMatchObject({
      code: 'ERR_CONFIG_CONFLICT',
      message: expect.stringMatching(/^loss.distillation.kl is 1, but .* has no scores of a teacher/),
    });
  });
});

test.each(['sparse', 'dense'] as const)('a %s teacher stops in the middle of a step that is aborted', async (mode) => {
  const tiny = await tinyRun();
  const teacher = join(tiny.folder, 'teacher');
  await cp(tiny.model, teacher, { recursive: true });
  if (mode === 'dense') {
    const modules = ['Transformer', 'Pooling'].map((kind, i) => ({
      type: `models.${kind}`,
      path: i ? '1_Pooling' : '',
    }));
    await writeFile(join(teacher, 'modules.json'), JSON.stringify(modules));
  }
  const { distillation } = new Trainer({}).config.loss;
  const { vocabulary } = await Tokenizer.load(tiny.model);
  const controller = new AbortController();
  const { signal } = controller;
  const loaded = await Teacher.load({ ...distillation, teacher }, vocabulary, { device: 'cpu', signal });
  const texts = { queries: ['red cat'], documents: Array<string>(1000).fill('the cat was red and it sat there') };
  expect((await loaded!.judge(texts)).teacherScores).toHaveLength(1000);
  const judged = loaded!.judge(texts);
  controller.abort();
  await expect(judged).rejects.toBe(signal.reason);
  loaded!.dispose();
});
