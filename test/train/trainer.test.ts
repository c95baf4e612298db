import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FLES1Encoder } from '../../lib/encode/encoder';
import { FlesError } from '../../lib/errors';
import { native } from '../../lib/native';
import { Tokenizer } from '../../lib/text/tokenizer';
import { readLog } from '../../lib/train/run-log';
import { Trainer } from '../../lib/train/trainer';
import { type FakeBehaviour, fakeTrainer } from './fake-trainer';
import { type TinyRun, tinyRun } from './tiny-run';

const real = native.NativeTrainer;
let tiny: TinyRun;

beforeEach(async () => {
  tiny = await tinyRun();
});
afterEach(() => {
  native.NativeTrainer = real;
});

function fake(behaviour: FakeBehaviour = {}) {
  native.NativeTrainer = fakeTrainer(behaviour);
}

const weights = (output: string) => readFile(join(tiny.folder, output, 'model.safetensors'));
const log = (output: string) => readLog(join(tiny.folder, output, 'metrics.jsonl'));
/** Lines of the log without what time and machine decide. */
const logged = async (output: string) =>
  (await log(output))
    .filter(({ kind }) => kind === 'step' || kind === 'clfr')
    .map(({ time: _, ...line }) => ({ ...line, examplesPerSecond: 0 }));

/** Runs until the signal aborts after a step. */
async function interruptedAfter(step: number, config: ConstructorParameters<typeof Trainer>[0], resume = false) {
  const controller = new AbortController();
  const run = new Trainer(config).run({
    resume,
    signal: controller.signal,
    onStep: (progress) => {
      if (progress.step === step) controller.abort();
    },
  });
  await expect(run).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
}

describe('the loop', () => {
  test('runs the steps of the epochs, moves lambda at each interval but the last, and tells of every step', async () => {
    fake();
    const seen: number[] = [];
    const { steps: _, ...config } = tiny.config('out', { epochs: 2.5 });
    const result = await new Trainer(config).run({
      onStep: ({ step, steps, nnz }) => {
        expect(steps).toBe(20);
        expect(nnz).toEqual({ documents: expect.any(Number), queries: 9 });
        seen.push(step);
      },
    });
    expect(seen).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    const decisions = (await log('out')).filter((line) => line.kind === 'clfr');
    expect(decisions.map(({ step }) => step)).toEqual([4, 8, 12, 16]);
    // 100 terms at 1e-3 where 50 are wanted: the error is 1, the gain 0.5.
    expect(decisions[0]).toMatchObject({ value: 100, target: 50, before: 1e-3, after: 1.5e-3 });
    expect(result).toMatchObject({ steps: 20, adjustments: 4, lambda: { documents: decisions[3]!.after } });
  });

  test('hands on which documents of other queries are known answers', async () => {
    const seen: unknown[] = [];
    fake({ onBatch: ({ excluded }) => seen.push([...excluded!]) });
    const query = 'who saw the owl';
    const pairs = ['the owl was red', 'the owl was blue'].map((positive) => JSON.stringify({ query, positive }));
    await writeFile(tiny.data, `${pairs.join('\n')}\n`);
    await new Trainer(tiny.config('out', { steps: 1, batch: { queries: 2, negatives: 0 } })).run();
    // Each of the two answers is the other's.
    expect(seen).toEqual([[0, 1, 1, 0]]);
  });

  test('writes means of several steps a line, the rest in a last line', async () => {
    fake();
    await new Trainer(tiny.config('out')).run();
    const lines = (await log('out')).filter((line) => line.kind === 'step');
    expect(lines.map(({ step }) => step)).toEqual([3, 6, 9, 12, 15, 18, 20]);
    expect(lines[0]).toMatchObject({
      loss: (1 + 1 / 2 + 1 / 3) / 3,
      terms: { flopsDocuments: { value: 3, weight: 1e-3 } },
      nnz: { documents: 100, queries: 9 },
      lambda: { documents: 1e-3, queries: 1e-3 },
    });
    expect(lines.at(-1)!.epoch).toBe(2.5);
  });

  test('leaves a folder that an encoder loads, with a card and the configuration', async () => {
    fake();
    await new Trainer(tiny.config('out')).run();
    const files = await readdir(join(tiny.folder, 'out'));
    expect(files).toEqual(
      expect.arrayContaining([
        '1_SpladePooling',
        'README.md',
        'config.json',
        'model.safetensors',
        'modules.json',
        'vocab.txt',
      ]),
    );
    const saved = JSON.parse(await readFile(join(tiny.folder, 'out', 'train-config.json'), 'utf8'));
    expect(new Trainer(saved).config).toEqual(new Trainer(tiny.config('out')).config);
    const card = await readFile(join(tiny.folder, 'out', 'README.md'), 'utf8');
    expect(card).toMatch(/^---\nlibrary_name: sentence-transformers\n/);
    expect(card).not.toContain(tiny.folder);
  });

  test('says so when no interval ends before the run does, and how often lambda was moved', async () => {
    fake();
    const notes: string[] = [];
    const onNote = (note: string) => notes.push(note);
    await new Trainer(tiny.config('idle', { clfr: { interval: 20 } })).run({ onNote });
    expect(notes).toEqual([
      'clfr.law is "relative", but the run has 20 steps and an interval 20: lambda never moves; lower clfr.interval or train longer',
    ]);
    const card = async (output: string) => readFile(join(tiny.folder, output, 'README.md'), 'utf8');
    expect(await card('idle')).toContain('with the target nnz 50 moved lambda 0 times');
    await new Trainer(tiny.config('out')).run({ onNote });
    expect(notes).toHaveLength(1);
    expect(await card('out')).toContain('moved lambda 4 times');
  });

  test('keeps the model of the best evaluation in best', async () => {
    fake();
    const config = tiny.config('out', { evaluation: { data: tiny.dev, every: 8 } });
    const { best } = await new Trainer(config).run();
    const lines = (await log('out')).filter((line) => line.kind === 'evaluation');
    expect(lines.map(({ step }) => step)).toEqual([8, 16, 20]);
    expect(best).toEqual(lines.filter((line) => line.best).at(-1));
    expect(best!.metrics.ndcg_cut_10).toBe(Math.max(...lines.map(({ metrics }) => metrics.ndcg_cut_10!)));
    expect(await readdir(join(tiny.folder, 'out', 'best'))).toEqual(
      expect.arrayContaining(['model.safetensors', 'modules.json']),
    );
    expect(await readdir(join(tiny.folder, 'out'))).not.toContain('.candidate');
  });

  test('tells of examples that give the evaluation away, and leaves them out or refuses them where that is wanted', async () => {
    fake();
    const run = async (output: string, leaks: 'report' | 'drop' | 'fail') => {
      const notes: string[] = [];
      // Only 40 of the 64 pairs are no queries of dev.
      const config = tiny.config(output, { evaluation: { data: tiny.dev, leaks }, steps: 6 });
      await new Trainer(config).run({ onNote: (note) => notes.push(note) });
      return { notes, epoch: (await log(output)).filter((line) => line.kind === 'step').at(-1)!.epoch };
    };
    const told = await run('told', 'report');
    expect(told.notes[0]).toMatch(/^24 of 64 examples give away queries of .* \(dev\); set evaluation.leaks=drop/);
    expect(told.epoch).toBe(6 / 8);
    expect(await run('dropped', 'drop')).toEqual({ notes: [expect.stringMatching(/left out$/)], epoch: 6 / 5 });
    await expect(run('refused', 'fail')).rejects.toThrow(expect.objectContaining({ code: 'ERR_DATA_LEAK' }));
  });

  test('fills in masked words for the task mlm', async () => {
    fake();
    const config = tiny.config('out', { task: 'mlm' });
    const { nnz } = await new Trainer(config).run();
    expect(nnz).toBeNull();
    const [line] = (await log('out')).filter((line) => line.kind === 'step');
    expect(line).toMatchObject({ accuracy: 0.5 });
    const files = await readdir(join(tiny.folder, 'out'));
    expect(files).toContain('model.safetensors');
    expect(files).not.toContain('modules.json');
  });

  test('tells and draws nothing of control for the task mlm, which counts no terms', async () => {
    fake();
    const notes: string[] = [];
    const { report } = await new Trainer(tiny.config('out', { task: 'mlm', steps: 4 })).run({
      onNote: (note) => notes.push(note),
    });
    expect(notes).toEqual([]);
    const page = await readFile(report!, 'utf8');
    expect(page).toContain('out</td><td></td><td>4</td><td></td>');
    expect(page).not.toContain('"Terms a document"');
  });

  test('evaluates on as many tokens of queries and of documents as it was trained on', async () => {
    fake();
    const encodeBatch = vi.spyOn(FLES1Encoder.prototype, 'encodeBatch');
    const text = { queryLength: 6, documentLength: 8 };
    await new Trainer(tiny.config('out', { steps: 1, text, evaluation: { data: tiny.dev } })).run();
    const lengths = encodeBatch.mock.calls.map(([, options]) => `${options?.kind} ${options?.maxLength}`);
    expect(new Set(lengths)).toEqual(new Set(['query 6', 'document 8']));
    encodeBatch.mockRestore();
  });

  test('evaluates a masked language model on as many tokens as it was trained on', async () => {
    fake();
    const encodeBatch = vi.spyOn(FLES1Encoder.prototype, 'encodeBatch');
    const changes = { task: 'mlm', steps: 1, text: { documentLength: 8 }, evaluation: { data: tiny.dev } } as const;
    await new Trainer(tiny.config('out', changes)).run();
    expect(new Set(encodeBatch.mock.calls.map(([, options]) => options?.maxLength))).toEqual(new Set([8]));
    encodeBatch.mockRestore();
  });

  test.each(['retrieval', 'mlm'] as const)('prepares the next step while one is computed (%s)', async (task) => {
    const encodeBatch = vi.spyOn(Tokenizer.prototype, 'encodeBatch');
    const before: number[] = [];
    fake({
      onStep: async () => {
        await setTimeout(50);
        before.push(encodeBatch.mock.calls.length);
      },
    });
    await new Trainer(tiny.config('out', { task, steps: 3 })).run();
    // Queries and documents are tokenised by themselves.
    const calls = task === 'mlm' ? 1 : 2;
    for (const [step, count] of before.entries()) expect(count).toBeGreaterThan((step + 1) * calls);
    encodeBatch.mockRestore();
  });
});

describe('a run that was stopped', () => {
  test.each(['retrieval', 'mlm'] as const)('ends with the bits of one that was not (%s)', async (task) => {
    fake();
    const changes = { task, evaluation: { data: task === 'mlm' ? null : tiny.dev, every: 6 } } as const;
    await new Trainer(tiny.config('whole', changes)).run();
    const config = tiny.config('stopped', changes);
    await interruptedAfter(3, config);
    await interruptedAfter(4, config, true);
    await interruptedAfter(13, config, true);
    await new Trainer(config).run({ resume: true });
    expect((await weights('stopped')).equals(await weights('whole'))).toBe(true);
    expect(await logged('stopped')).toEqual(await logged('whole'));
  });

  test('goes on from the last checkpoint when it was killed, and takes back what it had logged behind it', async () => {
    fake();
    const whole = tiny.config('whole');
    await new Trainer(whole).run();
    const config = tiny.config('killed');
    fake({
      onStep: (step) => {
        if (step === 9) throw new Error('killed');
      },
    });
    await expect(new Trainer(config).run()).rejects.toThrow('killed');
    expect((await log('killed')).at(-1)!.step).toBe(8);
    fake();
    const steps: number[] = [];
    await new Trainer(config).run({ resume: true, onStep: ({ step }) => steps.push(step) });
    expect(steps[0]).toBe(6);
    expect((await weights('killed')).equals(await weights('whole'))).toBe(true);
    expect(await logged('killed')).toEqual(await logged('whole'));
  });

  test('refuses a truncated checkpoint with a note and uses the one before it', async () => {
    fake();
    const config = tiny.config('out');
    await interruptedAfter(11, config);
    const names = await readdir(join(tiny.folder, 'out', 'checkpoints'));
    expect(names).toEqual(['step-00000010', 'step-00000011']);
    await truncate(join(tiny.folder, 'out', 'checkpoints', names[1]!, 'state.safetensors'), 1000);
    const notes: string[] = [];
    const steps: number[] = [];
    await new Trainer(config).run({
      resume: true,
      onNote: (note) => notes.push(note),
      onStep: ({ step }) => steps.push(step),
    });
    expect(notes[0]).toMatch(/step-00000011 is refused: ERR_SAFETENSORS_TRUNCATED .*; the one before it is used$/);
    expect(steps[0]).toBe(11);
  });

  test.each([
    [
      'a bit of its weights',
      'state.safetensors',
      (bytes: Buffer) => bytes.writeUInt8(bytes.at(-9)! ^ 64, bytes.length - 9),
    ],
    ['a digit of its state', 'trainer.json', (bytes: Buffer) => bytes.write('seed":2', bytes.indexOf('seed":1'))],
  ])('refuses a checkpoint of which %s has changed', async (_, file, change) => {
    fake();
    const config = tiny.config('out');
    await interruptedAfter(11, config);
    const path = join(tiny.folder, 'out', 'checkpoints', 'step-00000011', file);
    const bytes = await readFile(path);
    change(bytes);
    await writeFile(path, bytes);
    const notes: string[] = [];
    await new Trainer(config).run({ resume: true, onNote: (note) => notes.push(note) });
    expect(notes[0]).toMatch(/step-00000011 is refused: ERR_CHECKPOINT_DAMAGED .*; the one before it is used$/);
    expect(notes[0]).toContain(path);
  });

  test('says so when no checkpoint is whole', async () => {
    fake();
    const config = tiny.config('out');
    await interruptedAfter(4, config);
    const folder = join(tiny.folder, 'out', 'checkpoints', 'step-00000004');
    await writeFile(join(folder, 'trainer.json'), '{"version":1,');
    await expect(new Trainer(config).run({ resume: true })).rejects.toThrow(
      expect.objectContaining({
        code: 'ERR_CHECKPOINT_DAMAGED',
        message: expect.stringContaining('no checkpoint that is whole'),
      }),
    );
  });

  test('is not taken up with another configuration, except for what changes no step', async () => {
    fake();
    await interruptedAfter(4, tiny.config('out'));
    const other = tiny.config('out', { seed: 5, clfr: { gain: 0.7 } });
    await expect(new Trainer(other).run({ resume: true })).rejects.toThrow(
      expect.objectContaining({
        code: 'ERR_RESUME_MISMATCH',
        message: expect.stringContaining('seed was 1, is 5; clfr.gain was 0.5, is 0.7;'),
      }),
    );
    await new Trainer(tiny.config('out', { log: { every: 2 }, checkpoint: { every: 7 } })).run({ resume: true });
  });

  test('begins anew where there is nothing to resume, and is not begun over another', async () => {
    fake();
    await new Trainer(tiny.config('out')).run({ resume: true });
    await expect(new Trainer(tiny.config('out')).run()).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_OUTPUT_EXISTS', message: expect.stringContaining('--resume') }),
    );
  });
});

describe('what goes wrong', () => {
  const rejection = (behaviour: FakeBehaviour) => {
    fake(behaviour);
    return new Trainer(tiny.config('out')).run().then(
      () => undefined,
      (error: FlesError) => `${error.code} ${error.message}`,
    );
  };
  const checkpoints = () => readdir(join(tiny.folder, 'out', 'checkpoints'));

  test('a loss that is not finite names the step and the checkpoint that is left', async () => {
    const onStep = (step: number) => {
      if (step === 8) throw new FlesError('ERR_LOSS_NOT_FINITE', 'infoNCE is NaN');
    };
    expect(await rejection({ onStep })).toMatch(
      /^ERR_LOSS_NOT_FINITE step 8: infoNCE is NaN; the checkpoint of step 5 is whole; lower optimizer.rate/,
    );
    expect(await checkpoints()).toEqual(['step-00000005']);
  });

  test('data that changed name the checkpoint that is left, and what it needs', async () => {
    const onStep = (step: number) => {
      if (step === 8) throw new FlesError('ERR_DATA_CHANGED', 'pairs.jsonl changed; start again');
    };
    expect(await rejection({ onStep })).toMatch(
      /^ERR_DATA_CHANGED step 8: pairs.jsonl changed; start again; the checkpoint of step 5 is whole; put the file back as it was before --resume$/,
    );
  });

  test('a full disk stops the run and leaves the last checkpoint whole', async () => {
    let saves = 0;
    const onSave = (path: string) => {
      if (++saves === 2) throw new FlesError('ERR_DISK_FULL', `no space left while writing ${path}`);
    };
    expect(await rejection({ onSave })).toMatch(
      /^ERR_DISK_FULL step 10: .*; the checkpoint of step 5 is whole; --resume goes on from it$/,
    );
    expect(await checkpoints()).toEqual(['step-00000005']);
  });

  test('a gradient that stays 0 stops the run after ten steps', async () => {
    expect(await rejection({ vanishes: (step) => step > 3 })).toMatch(
      /^ERR_GRADIENT_VANISHED step 13: the gradient was 0 in the last 10 steps.*; the checkpoint of step 10 is whole; lower loss/,
    );
  });

  test('lambda at its bound is noted once, with the measure', async () => {
    fake({ terms: 400 });
    const notes: string[] = [];
    const config = tiny.config('out', { clfr: { lambdaMax: 2e-3, gain: 2 } });
    await new Trainer(config).run({ onNote: (note) => notes.push(note) });
    expect(notes).toEqual([
      expect.stringMatching(
        /^step 8: lambda of the documents is at clfr.lambdaMax, 0.002; nnz is 303.0, its target 50$/,
      ),
    ]);
  });

  test.each([
    [
      'a target above the vocabulary',
      { clfr: { target: 500 } },
      /clfr.target is 500, expected at most \d+, the terms of the vocabulary/,
    ],
    [
      'a text longer than the positions',
      { text: { documentLength: 64 } },
      /text.documentLength is 64, expected at most 32/,
    ],
  ])('%s is refused before anything is trained', async (_, changes, message) => {
    fake();
    await expect(new Trainer(tiny.config('out', changes)).run()).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_CONFLICT', message: expect.stringMatching(message) }),
    );
  });

  test.each([
    [{ onstep: () => {} }, 'ERR_OPTION_UNKNOWN', 'option "onstep" is not known; did you mean "onStep"?'],
    [{ signal: {} }, 'ERR_OPTION_VALUE', 'signal is an object, expected an AbortSignal'],
    [{ resume: 'no' }, 'ERR_OPTION_VALUE', 'resume is "no", expected true or false'],
  ])('options of a run that make no sense are refused: %j', async (options, code, message) => {
    const run = new Trainer(tiny.config('out')).run(options as object);
    await expect(run).rejects.toThrow(expect.objectContaining({ code, message }));
    expect(await readdir(tiny.folder)).not.toContain('out');
  });

  test('too few examples for a step are refused', async () => {
    fake();
    await expect(new Trainer(tiny.config('out', { batch: { queries: 65 } })).run()).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_DATA_EXHAUSTED' }),
    );
  });

  test('two runs do not share a folder', async () => {
    fake();
    const first = new Trainer(tiny.config('out'));
    let second: Promise<unknown> | undefined;
    await first.run({
      onStep: () => {
        second ??= expect(new Trainer(tiny.config('out')).run({ resume: true })).rejects.toThrow(
          expect.objectContaining({ code: 'ERR_OUTPUT_BUSY' }),
        );
      },
    });
    // The first run may have ended before the second lost its patience.
    await second!.catch(() => {});
  });
});
