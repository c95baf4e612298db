import { mkdir, readdir, truncate, writeFile } from 'node:fs/promises';
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

test('a model that no run has made is not written over, with resume either', async () => {
  const folder = join(tiny.folder, 'other');
  await mkdir(folder);
  await writeFile(join(folder, 'model.safetensors'), '');
  const run = new Trainer(tiny.config('other')).run({ resume: true });
  await expect(run).rejects.toMatchObject({ code: 'ERR_OUTPUT_EXISTS' });
});

describe('without resume', () => {
  test.each(['metrics.jsonl', 'config.json', 'model.safetensors.index.json'])(
    '%s is not written over',
    async (name) => {
      const folder = join(tiny.folder, 'other');
      await mkdir(folder);
      await writeFile(join(folder, name), '{}');
      const again = new Trainer(tiny.config('other')).run();
      await expect(again).rejects.toMatchObject({
        code: 'ERR_OUTPUT_EXISTS',
        message: expect.stringContaining(name),
      });
    },
  );
});
