import { mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { FLES1Encoder } from '../../lib';
import { type TinyRun, tinyRun } from '../train/tiny-run';
import { fles, type Outcome } from './run-fles';

let tiny: TinyRun;
beforeEach(async () => {
  tiny = await tinyRun();
});

/** 300 steps of some milliseconds. */
const SETTINGS = {
  steps: 300,
  'batch.queries': 8,
  'batch.negatives': 1,
  'text.queryLength': 16,
  'text.documentLength': 16,
  'optimizer.rate': 1e-3,
  'loss.flops.documents': 1e-3,
  'clfr.target': 50,
  'clfr.interval': 10,
  'clfr.window': 10,
  'checkpoint.every': 20,
};

function settings(changes: Record<string, unknown> = {}): string[] {
  return Object.entries({ ...SETTINGS, ...changes }).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
}

function command(output: string, changes: Record<string, unknown> = {}): string[] {
  const paths = ['--model', tiny.model, '--data', tiny.data, '--output', join(tiny.folder, output)];
  return ['train', ...paths, ...settings(changes)];
}

const weights = (output: string) => readFile(join(tiny.folder, output, 'model.safetensors'));

async function log(output: string) {
  const text = await readFile(join(tiny.folder, output, 'metrics.jsonl'), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

test('trains a model that loads, holds its target, and names the report', async () => {
  const { code, stdout, stderr } = await fles(command('out', { 'clfr.gain': 0.5 }));
  expect(stderr).toContain('"task":"train"');
  expect(code).toBe(0);
  const output = join(tiny.folder, 'out');
  expect(stdout).toMatch(
    /^300 steps; the model is in .*\nterms: .* a document, .* a query\nlambda: .* moved \d+ times\n/,
  );
  expect(stdout).toMatch(/^memory: [\d.]+ MB of the core, [\d.]+ MB of them in the head$/m);
  expect(stdout).toContain(`report: ${join(output, 'report.html')}\n`);
  expect(await readFile(join(output, 'report.html'), 'utf8')).toContain('<!doctype html>');
  const steps = (await log('out')).filter(({ kind }) => kind === 'step');
  // It has learnt: guessing among 16 documents costs ln 16.
  expect(steps.at(-1).terms.infoNCE.value).toBeLessThan(Math.log(16) / 2);
  expect(Math.abs(steps.at(-1).nnz.documents / 50 - 1)).toBeLessThan(0.2);
  const encoder = await FLES1Encoder.fromPretrained(output);
  const vector = await encoder.encode('the horse was green and it sat there');
  expect(vector.nnz).toBeGreaterThan(0);
  encoder.dispose();
});

describe('a run that is stopped from outside', () => {
  test('by Ctrl-C saves a checkpoint, and goes on to the same bits', async () => {
    await fles(command('whole'));
    const stopped = await fles(command('stopped'), { onProgress: (child) => child.kill('SIGINT') });
    expect(stopped.code).not.toBe(0);
    const last = (await log('stopped')).at(-1);
    expect(last.kind).toBe('note');
    expect(last.step).toBeLessThan(300);
    const resumed = await fles([...command('stopped'), '--resume']);
    expect(resumed.code).toBe(0);
    expect((await weights('stopped')).equals(await weights('whole'))).toBe(true);
  });

  // FLES_LONG_TESTS=1 makes 20 of them.
  const kills = process.env.FLES_LONG_TESTS ? 20 : 4;
  test(`by SIGKILL ${kills} times ends with the bits and the log of one that never was`, {
    timeout: 300_000,
  }, async () => {
    const changes = { steps: 30 * kills, 'checkpoint.every': 7 };
    await fles(command('whole', changes));
    let state = 7;
    const random = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
    let killed = 0;
    let outcome: Outcome;
    do {
      outcome = await fles([...command('killed', changes), '--resume'], {
        onProgress: (child) => {
          if (killed === kills) return;
          killed++;
          setTimeout(() => child.kill('SIGKILL'), 100 * random());
        },
      });
      expect(outcome.stderr).not.toContain('ERR_');
    } while (outcome.code === null);
    expect(outcome.code).toBe(0);
    expect(killed).toBe(kills);
    expect((await weights('killed')).equals(await weights('whole'))).toBe(true);
    const values = async (output: string) => {
      const steps = (await log(output)).filter(({ kind }) => kind === 'step');
      return steps.map(({ step, loss, nnz, lambda, gradientNorm }) => ({ step, loss, nnz, lambda, gradientNorm }));
    };
    expect(await values('killed')).toEqual(await values('whole'));
  });
});

test('recomputing activations gives the same bits', async () => {
  await fles(command('kept', { steps: 30 }));
  await fles(command('recomputed', { steps: 30, 'network.recompute': true }));
  expect((await weights('recomputed')).equals(await weights('kept'))).toBe(true);
});

test('masked-language-model training learns, and what it writes can be trained on', async () => {
  const { code } = await fles([...command('words', { 'clfr.law': 'none', 'batch.queries': 32 }), '--preset', 'mlm']);
  expect(code).toBe(0);
  const steps = (await log('words')).filter(({ kind }) => kind === 'step');
  expect(steps.at(-1).loss).toBeLessThan(0.8 * steps[0].loss);
  const words = join(tiny.folder, 'words');
  const next = await fles([
    'train',
    '--model',
    words,
    '--data',
    tiny.data,
    '--output',
    join(tiny.folder, 'next'),
    ...settings({ steps: 5 }),
  ]);
  expect(next.code).toBe(0);
});

describe('--resume without a recipe goes on by the configuration that the run began with', () => {
  test.each([[['--output']], [['--set', 'output=']]])('in the folder that %j names', async (flags) => {
    await fles(command('out', { steps: 3 }));
    const folder = join(tiny.folder, 'out');
    const names = flags.length === 1 ? [...flags, folder] : [flags[0]!, flags[1] + folder];
    const { code, stderr, stdout } = await fles(['train', '--resume', ...names]);
    expect({ code, stderr: stderr.match(/ERR_\w+/) }).toEqual({ code: 0, stderr: null });
    expect(stdout).toMatch(/^3 steps;/);
  });

  test('in the folder that it has unless told otherwise, moved there or not', async () => {
    await fles(command('out', { steps: 3 }));
    const folder = join(tiny.folder, 'here');
    await mkdir(folder);
    await rename(join(tiny.folder, 'out'), join(folder, 'model'));
    const { code, stderr, stdout } = await fles(['train', '--resume'], { under: ['env', '-C', folder] });
    expect({ code, stderr: stderr.match(/ERR_\w+/) }).toEqual({ code: 0, stderr: null });
    expect(stdout).toContain(`3 steps; the model is in ${join(folder, 'model')}\n`);
  });
});

test('learns from the scores of a teacher', async () => {
  await fles(command('teacher'));
  const teacher = ['--teacher', join(tiny.folder, 'teacher'), '--set', 'loss.infoNce=0'];
  const { code } = await fles([...command('student'), ...teacher]);
  expect(code).toBe(0);
  const steps = (await log('student')).filter(({ kind }) => kind === 'step');
  expect(Object.keys(steps[0].terms)).toContain('klDivergence');
  expect(steps.at(-1).terms.klDivergence.value).toBeLessThan(0.5 * steps[0].terms.klDivergence.value);
});

describe('a dense encoder', () => {
  const settings = { 'clfr.law': 'none', 'loss.flops.documents': 0, 'loss.flops.queries': 0, 'loss.temperature': 0.2 };
  const train = (output: string, changes: object) =>
    fles([...command(output, { ...settings, ...changes }), '--preset', 'dense']);

  test('learns by its cosines, and loads as one', async () => {
    const { code } = await train('dense', { steps: 60 });
    expect(code).toBe(0);
    const steps = (await log('dense')).filter(({ kind }) => kind === 'step');
    expect(Object.keys(steps[0].terms)).toEqual(['infoNCE']);
    expect(steps[0].nnz).toBeUndefined();
    expect(steps.at(-1).loss).toBeLessThan(0.7 * steps[0].loss);
    const encoder = await FLES1Encoder.fromPretrained(join(tiny.folder, 'dense'));
    expect(encoder.mode).toBe('dense');
    const { values } = await encoder.encodeDense(['the cat was red']);
    expect(Math.hypot(...values)).toBeCloseTo(1, 5);
    encoder.dispose();
  });

  test('that takes the vector of [CLS] is saved as such', async () => {
    await train('cls', { 'network.pooling': 'cls', steps: 1 });
    const pooling = JSON.parse(await readFile(join(tiny.folder, 'cls', '1_Pooling', 'config.json'), 'utf8'));
    expect(pooling).toMatchObject({ pooling_mode_cls_token: true, pooling_mode_mean_tokens: false });
  });

  test('whose vectors have the length 1 is refused inner products', async () => {
    await train('unit', { steps: 1 });
    const model = ['--model', join(tiny.folder, 'unit')];
    const { code, stderr } = await fles([
      ...command('dot', { ...settings, 'loss.similarity': 'dot' }),
      ...['--preset', 'dense', ...model],
    ]);
    expect(code).not.toBe(0);
    expect(stderr).toContain('ERR_CONFIG_CONFLICT loss.similarity is "dot"');
  });
});
