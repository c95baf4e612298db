import { existsSync, writeFileSync } from 'node:fs';
import { appendFile, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { native } from '../../lib/native';
import type { TrainConfigChanges } from '../../lib/train/config';
import { Evaluation } from '../../lib/train/evaluation';
import { readLog } from '../../lib/train/run-log';
import { Trainer } from '../../lib/train/trainer';
import { fakeTrainer } from './fake-trainer';
import { pairs, type TinyRun, tinyRun } from './tiny-run';

const real = native.NativeTrainer;
let tiny: TinyRun;

beforeEach(async () => {
  tiny = await tinyRun();
  native.NativeTrainer = fakeTrainer();
});
afterEach(() => {
  native.NativeTrainer = real;
  vi.restoreAllMocks();
});

/** The evaluations of a run's log, without what time decides. */
const evaluations = async (output: string) =>
  (await readLog(join(tiny.folder, output, 'metrics.jsonl')))
    .filter((line) => line.kind === 'evaluation')
    .map(({ step, metrics, best }) => ({ step, metrics, best }));
const checkpoints = () => readdir(join(tiny.folder, 'out', 'checkpoints'));

/** Runs until a step is done. */
async function stoppedAfter(step: number, config: TrainConfigChanges, resume = false) {
  const controller = new AbortController();
  const onStep = (progress: { step: number }) => {
    if (progress.step === step) controller.abort();
  };
  const run = new Trainer(config).run({ resume, signal: controller.signal, onStep });
  await expect(run).rejects.toMatchObject({ name: 'AbortError' });
}

describe('an evaluation that was interrupted', () => {
  test.each([8, 20])('is done when the run goes on (step %i)', async (at) => {
    const changes = { evaluation: { data: tiny.dev, every: 8 } };
    await new Trainer(tiny.config('whole', changes)).run();
    const controller = new AbortController();
    const run = Evaluation.prototype.run;
    let count = 0;
    vi.spyOn(Evaluation.prototype, 'run').mockImplementation(async function (this: Evaluation, ...args) {
      if (++count === Math.ceil(at / 8)) controller.abort();
      controller.signal.throwIfAborted();
      return run.apply(this, args);
    });
    const config = tiny.config('out', changes);
    await expect(new Trainer(config).run({ signal: controller.signal })).rejects.toMatchObject({ name: 'AbortError' });
    vi.restoreAllMocks();
    await new Trainer(config).run({ resume: true });
    expect(await evaluations('out')).toEqual(await evaluations('whole'));
  });
});

describe('a run that goes on with another evaluation', () => {
  test('ends without one', async () => {
    const config = tiny.config('out', { evaluation: { data: tiny.dev, every: 4 } });
    await stoppedAfter(6, config);
    const { best } = await new Trainer({ ...config, evaluation: { data: null } }).run({ resume: true });
    expect(best).toBeNull();
  });

  test('forgets what was best by the other judgements', async () => {
    const config = tiny.config('out', { evaluation: { data: tiny.dev, every: 4 } });
    await stoppedAfter(6, config);
    await new Trainer({ ...config, evaluation: { data: tiny.dev, every: 4, maxLength: 8 } }).run({ resume: true });
    expect((await evaluations('out')).map(({ step, best }) => ({ step, best }))).toContainEqual({
      step: 8,
      best: true,
    });
  });

  test('is refused where it decides which examples there are', async () => {
    const config = tiny.config('out', { evaluation: { data: tiny.dev } });
    await stoppedAfter(4, config);
    const other = { ...config, evaluation: { data: tiny.dev, leaks: 'drop' } } as const;
    await expect(new Trainer(other).run({ resume: true })).rejects.toMatchObject({ code: 'ERR_RESUME_MISMATCH' });
  });
});

test('a checkpoint just saved stays, whatever later ones were refused', async () => {
  const config = tiny.config('out', { checkpoint: { every: 5, keep: 2 } });
  await stoppedAfter(13, config);
  expect(await checkpoints()).toEqual(['step-00000010', 'step-00000013']);
  await truncate(join(tiny.folder, 'out', 'checkpoints', 'step-00000013', 'state.safetensors'), 1000);
  await stoppedAfter(11, { ...config, checkpoint: { every: 5, keep: 1 } }, true);
  expect(await checkpoints()).toEqual(['step-00000011', 'step-00000013']);
});

test('masked language modelling does not go on with other texts', async () => {
  const config = tiny.config('out', { task: 'mlm', batch: { queries: 8, negatives: 1, examples: 32 } });
  await stoppedAfter(4, config);
  const lines = [...pairs].reverse().map((pair) => `${JSON.stringify(pair)}\n`);
  await writeFile(tiny.data, lines.join(''));
  await expect(new Trainer(config).run({ resume: true })).rejects.toMatchObject({ code: 'ERR_RESUME_MISMATCH' });
});

test.each(['model.safetensors', 'README.md'])(
  '%s that no run has made is not written over, with resume either',
  async (name) => {
    const folder = join(tiny.folder, 'other');
    await mkdir(folder);
    await writeFile(join(folder, name), '');
    const run = new Trainer(tiny.config('other')).run({ resume: true });
    await expect(run).rejects.toMatchObject({ code: 'ERR_OUTPUT_EXISTS' });
  },
);

describe('without resume', () => {
  test.each([
    'metrics.jsonl',
    'config.json',
    'model.safetensors.index.json',
    'README.md',
    'report.html',
    'events.out.tfevents.1.other.1.0',
    'tokenizer.json',
    'config_sentence_transformers.json',
    '1_Pooling',
  ])('%s is not written over', async (name) => {
    const folder = join(tiny.folder, 'other');
    await mkdir(folder);
    await writeFile(join(folder, name), '{}');
    const again = new Trainer(tiny.config('other')).run();
    await expect(again).rejects.toMatchObject({
      code: 'ERR_OUTPUT_EXISTS',
      message: expect.stringContaining(name),
    });
  });
});

test('is not taken up with another tokenizer', async () => {
  const config = tiny.config('out');
  await stoppedAfter(4, config);
  const vocabulary = join(tiny.model, 'vocab.txt');
  const [pad, unk, cls, sep, mask, ...words] = (await readFile(vocabulary, 'utf8')).trim().split('\n');
  await writeFile(vocabulary, [pad, unk, cls, sep, mask, ...words.reverse(), ''].join('\n'));
  await expect(new Trainer(config).run({ resume: true })).rejects.toMatchObject({
    code: 'ERR_RESUME_MISMATCH',
    message: expect.stringContaining('another tokenizer or network'),
  });
});

test('goes on where its log is gone, with a note', async () => {
  const config = tiny.config('out');
  await stoppedAfter(4, config);
  await rm(join(tiny.folder, 'out', 'metrics.jsonl'));
  const notes: string[] = [];
  await new Trainer(config).run({ resume: true, onNote: (note) => notes.push(note) });
  expect(notes).toEqual(['metrics.jsonl is gone: the log begins anew behind step 4']);
});

test.each([
  ['in the middle of a character', '{"kind":"note","text":"gr\xc3'],
  ['with bytes that are no text', '\x00\x00\xff\xfe'],
  ['with a word', 'null'],
])('goes on where its log ends %s', async (_, end) => {
  const config = tiny.config('out');
  await stoppedAfter(4, config);
  const path = join(tiny.folder, 'out', 'metrics.jsonl');
  await appendFile(path, Buffer.from(end, 'latin1'));
  await new Trainer(config).run({ resume: true });
  expect((await readLog(path)).filter(({ kind }) => kind === 'step').map(({ step }) => step)).toEqual([
    3, 6, 9, 12, 15, 18, 20,
  ]);
});

test('that is done writes its model again where its log is gone, and has no curves to draw', async () => {
  const config = tiny.config('out');
  const folder = join(tiny.folder, 'out');
  await new Trainer(config).run();
  for (const name of ['metrics.jsonl', 'model.safetensors', 'report.html']) await rm(join(folder, name));
  expect(await new Trainer(config).run({ resume: true })).toMatchObject({ steps: 20, report: null });
  const names = await readdir(folder);
  expect(names).toContain('model.safetensors');
  expect(names).not.toContain('report.html');
});

test('removes what a killed run has left half written', async () => {
  const config = tiny.config('out');
  await stoppedAfter(4, config);
  const folder = join(tiny.folder, 'out');
  const left = ['.index-a1B2c3', '.candidate', '.README.md.0123456789ab.tmp', 'model.safetensors.tmp'];
  await mkdir(join(folder, left[0]!), { recursive: true });
  for (const name of left.slice(1)) await writeFile(join(folder, name), '');
  await writeFile(join(folder, '.gitignore'), '');
  const below = join(folder, 'best', 'document_0_MLMTransformer');
  await mkdir(below, { recursive: true });
  for (const name of ['.config.json.0123456789ab.tmp', 'model.safetensors.tmp']) await writeFile(join(below, name), '');
  await new Trainer(config).run({ resume: true });
  const names = await readdir(folder);
  expect(names.filter((name) => left.includes(name))).toEqual([]);
  expect(names).toContain('.gitignore');
  expect(await readdir(below)).toEqual([]);
});

test('an evaluation that fails costs no step', async () => {
  vi.spyOn(Evaluation.prototype, 'run').mockRejectedValue(new Error('no room for an index'));
  const config = tiny.config('out', { evaluation: { data: tiny.dev, every: 8 } });
  await expect(new Trainer(config).run()).rejects.toThrow('no room for an index');
  expect(await checkpoints()).toContain('step-00000008');
  vi.restoreAllMocks();
  const steps: number[] = [];
  await new Trainer(config).run({ resume: true, onStep: ({ step }) => steps.push(step) });
  expect(steps[0]).toBe(9);
  expect((await evaluations('out'))[0]!.step).toBe(8);
});

test('a best model that cannot be kept is kept when the run goes on', async () => {
  const config = tiny.config('out', { steps: 8, evaluation: { data: tiny.dev } });
  const best = join(tiny.folder, 'out', 'best');
  const run = new Trainer(config).run({ onStep: ({ step }) => step === 1 && writeFileSync(best, '') });
  await expect(run).rejects.toMatchObject({ code: 'ERR_FILE_KIND' });
  await rm(best);
  const result = await new Trainer(config).run({ resume: true });
  expect(result.best).toMatchObject({ step: 8 });
  expect(await readdir(best)).toContain('model.safetensors');
  expect(await evaluations('out')).toEqual([expect.objectContaining({ step: 8, best: true })]);
});

test('the card of a model tells of its own evaluation, also where an earlier one was better', async () => {
  let value = 0.9;
  vi.spyOn(Evaluation.prototype, 'run').mockImplementation(async () => {
    value -= 0.1;
    return { metrics: { ndcg_cut_10: value }, nnz: null, flops: null, seconds: 1 };
  });
  const config = tiny.config('out', { evaluation: { data: tiny.dev, every: 8 } });
  await stoppedAfter(18, config);
  await new Trainer(config).run({ resume: true });
  const card = (...folder: string[]) => readFile(join(tiny.folder, 'out', ...folder, 'README.md'), 'utf8');
  expect(await card('best')).toContain('After 8 steps a document had');
  expect(await card()).toContain('After 20 steps a document had');
  expect(await card('best')).toMatch(/after step 8:\n(.*\n)*\| ndcg_cut_10 \| 0.8000 \|\n\n/);
  expect(await card()).toMatch(
    /after step 20:\n(.*\n)*\| ndcg_cut_10 \| 0.6000 \|\n\nThe step 8 was better by ndcg_cut_10: its model is in `best`.\n/,
  );
  // Done, the run has the same to tell.
  await new Trainer(config).run({ resume: true });
  expect(await card()).toContain('after step 20:');
});

test('texts of an evaluation that are longer than the model reads are refused before the first step', async () => {
  const config = tiny.config('out', { evaluation: { data: tiny.dev, maxLength: 33 } });
  await expect(new Trainer(config).run()).rejects.toMatchObject({
    code: 'ERR_CONFIG_CONFLICT',
    message: expect.stringContaining('evaluation.maxLength is 33, expected at most 32'),
  });
  expect(existsSync(join(tiny.folder, 'out'))).toBe(false);
});
