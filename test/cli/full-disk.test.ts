import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { type TinyRun, tinyRun } from '../train/tiny-run';
import { fles, jsonLines, library, type Outcome, tinyModel } from './run-fles';
import { type SmallDisk, smallDisk } from './small-disk';
import { temporaryFile, temporaryFolder } from './temporary';

const KB = 1024;

let disk: SmallDisk;
beforeEach(async () => {
  disk = await smallDisk();
});

/** Runs `fles` where it sees the disk. */
const onDisk = (args: string[], options: Parameters<typeof fles>[1] = {}) =>
  fles(args, { ...options, under: disk.under() });

const content = (...path: string[]) => readFile(join(disk.seen, ...path));

/** The temporary files and folders and the locks under a folder of the disk. */
async function leftovers(folder = ''): Promise<string[]> {
  const paths = await readdir(join(disk.seen, folder), { recursive: true });
  return paths.filter((path) => /(^|\/)\.|tmp|\.part|\.lock|scratch/.test(path));
}

/** What standard error holds besides progress and notes. */
const errors = (stderr: string) => stderr.split('\n').filter((line) => !/^($|note: |\{"progress")/.test(line));

/** The command has failed with one line: the code, the path, and at its end what to do. */
function expectNoRoom({ code, stderr, stdout }: Outcome, path: string, end: string) {
  expect(errors(stderr)).toEqual([expect.stringMatching(new RegExp(`^error: ${disk.code} .*/${path}.*${end}$`))]);
  expect(stdout).toBe('');
  expect(code).toBe(1);
}

describe('a training run on a full disk', () => {
  let tiny: TinyRun;
  let out: string;
  beforeEach(async () => {
    tiny = await tinyRun();
    out = join(disk.folder, 'out');
  });

  const NEVER = 100_000;
  const SETTINGS = {
    steps: 60,
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
    'evaluation.split': 'dev',
  };

  function command(output: string, changes: Record<string, unknown> = {}): string[] {
    const settings = Object.entries({ ...SETTINGS, ...changes }).flatMap(([key, value]) => [
      '--set',
      `${key}=${value}`,
    ]);
    return ['train', '--model', tiny.model, '--data', tiny.data, '--output', output, ...settings];
  }

  const resume = (changes: Record<string, unknown> = {}) => onDisk([...command(out, changes), '--resume']);

  const WHOLE = '; the checkpoint of step 20 is whole; --resume goes on from it';
  const checkpoints = () => readdir(join(disk.seen, 'out', 'checkpoints'));

  /** A run on the disk with the checkpoint of step 20 alone, as if it had been killed behind it. */
  async function begun(changes: Record<string, unknown> = {}): Promise<void> {
    expect((await onDisk(command(out, { ...changes, 'checkpoint.keep': 3 }))).code).toBe(0);
    for (const step of [40, 60]) {
      await rm(join(disk.seen, 'out', 'checkpoints', `step-000000${step}`), { recursive: true });
    }
  }

  async function results(read: (...path: string[]) => Promise<Buffer>) {
    const lines = jsonLines(String(await read('metrics.jsonl'))).filter(({ kind }) => kind === 'step');
    return {
      model: await read('model.safetensors'),
      state: await read('checkpoints', 'step-00000060', 'state.safetensors'),
      log: lines.map(({ step, loss, nnz, lambda, gradientNorm }) => ({ step, loss, nnz, lambda, gradientNorm })),
    };
  }

  test('keeps the last checkpoint where no other fits, and goes on from it to the bits of one that had room', async () => {
    const roomy = join(tiny.folder, 'roomy');
    expect((await fles(command(roomy))).code).toBe(0);
    const expected = await results((...path) => readFile(join(roomy, ...path)));
    const { length } = expected.state;
    // Where every file has the same room, the first checkpoint has to be there before.
    if (!disk.shared) await begun();
    await disk.leave(disk.shared ? 1.5 * length : length / 2);
    expectNoRoom(await resume(), 'out/checkpoints/step-00000040/state.safetensors', WHOLE);
    expect(await checkpoints()).toEqual(['step-00000020']);
    expect(await leftovers()).toEqual([]);

    await disk.leave(0);
    const log = await content('out', 'metrics.jsonl');
    expectNoRoom(await resume(), 'out', disk.advice);
    expect((await content('out', 'metrics.jsonl')).equals(log)).toBe(true);
    expect(await checkpoints()).toEqual(['step-00000020']);
    expect(await leftovers()).toEqual([]);

    await disk.free();
    const { code, stderr } = await resume();
    expect(errors(stderr)).toEqual([]);
    expect(code).toBe(0);
    const found = await results((...path) => content('out', ...path));
    expect(found.model.equals(expected.model)).toBe(true);
    expect(found.state.equals(expected.state)).toBe(true);
    expect(found.log).toEqual(expected.log);
  });

  test.each([12, 16])('ends its log with a whole line and a whole event (%i kB are left)', async (kilobytes) => {
    const changes = { 'log.every': 1, 'checkpoint.every': NEVER };
    await begun();
    await disk.leave(kilobytes * KB);
    const outcome = await resume(changes);
    expectNoRoom(outcome, 'out/(metrics.jsonl|events.out.tfevents)', WHOLE);
    const lines = jsonLines(String(await content('out', 'metrics.jsonl')));
    expect(lines.at(-1).step).toBeGreaterThan(20);
    const events = (await readdir(join(disk.seen, 'out'))).filter((name) => name.startsWith('events.'));
    expect(events).toHaveLength(1);
    expectWholeRecords(await content('out', events[0]!));
    expect(await leftovers()).toEqual([]);
  });

  /** Of an event file: length, its checksum, data, the checksum of the data. */
  function expectWholeRecords(file: Buffer) {
    let end = 0;
    while (end < file.length) end += 12 + Number(file.readBigUInt64LE(end)) + 4;
    expect(end).toBe(file.length);
  }

  test.each([
    ['the model that is evaluated', '.candidate/', 16],
    ['the index of an evaluation', '(.candidate|.index-[^/]*)/', 72],
  ])('keeps the best model where %s does not fit', async (_, path, kilobytes) => {
    const evaluation = { 'evaluation.data': tiny.dev, 'evaluation.every': 20 };
    await begun(evaluation);
    const best = () => Promise.all(['model.safetensors', 'README.md'].map((name) => content('out', 'best', name)));
    const before = await best();
    await disk.leave((disk.shared ? kilobytes : 16) * KB);
    expectNoRoom(await resume({ ...evaluation, 'checkpoint.every': NEVER }), `out/${path}`, WHOLE);
    expect(await best()).toEqual(before);
    expect(await leftovers()).toEqual([]);
  });

  test.each([
    ['model.safetensors', 16],
    ['report.html', 40],
  ])('keeps the %s of an earlier end where another does not fit, and writes it later', async (name, kilobytes) => {
    expect((await onDisk(command(out))).code).toBe(0);
    await writeFile(join(disk.seen, 'out', name), 'earlier');
    await disk.leave(kilobytes * KB);
    expectNoRoom(await resume(), `out/${name}`, WHOLE.replace('20', '60'));
    expect(String(await content('out', name))).toBe('earlier');
    expect(await leftovers()).toEqual([]);
    await disk.free();
    expect((await resume()).code).toBe(0);
    expect((await content('out', name)).length).toBeGreaterThan(10 * KB);
  });

  test('that is stopped by Ctrl-C says that the checkpoint does not fit', async () => {
    await disk.leave(40 * KB);
    const changes = { steps: NEVER, 'checkpoint.every': NEVER, 'log.every': NEVER, 'clfr.law': 'none' };
    const outcome = await onDisk(command(out, changes), { onProgress: (child) => child.kill('SIGINT') });
    expectNoRoom(
      outcome,
      'out/checkpoints/step-[0-9]+/state.safetensors',
      '; there is no checkpoint yet; --resume begins anew',
    );
    expect(await checkpoints()).toEqual([]);
    expect(await leftovers()).toEqual([]);
  });
});

test('an index that does not fit leaves the one before it, and nothing where there is none', async () => {
  const vector = (i: number) => Object.fromEntries(Array.from({ length: 10 }, (_, t) => [`t${(7 * i + t) % 997}`, 1]));
  const lines = (count: number) =>
    Array.from({ length: count }, (_, i) => `${JSON.stringify({ id: `d${i}`, vector: vector(i) })}\n`).join('');
  const small = await temporaryFile('vectors.jsonl', lines(3));
  const large = await temporaryFile('vectors.jsonl', lines(3000));
  const index = (input: string, name: string) =>
    onDisk(['index', '--input', input, '--output', join(disk.folder, name)]);
  expect((await index(small, 'index')).code).toBe(0);
  const before = await content('index', 'index.fles');
  await disk.leave(64 * KB);
  expectNoRoom(await index(large, 'index'), 'index/', disk.advice);
  expectNoRoom(await index(large, 'other'), 'other', disk.advice);
  expect((await content('index', 'index.fles')).equals(before)).toBe(true);
  const names = await readdir(disk.seen, { recursive: true });
  expect(names.filter((name) => name !== 'filler').sort()).toEqual(['index', 'index/index.fles']);
});

test.each([
  ['run', 'bm25', 'bm25.trec'],
  ['index', `tiny=${tinyModel}`, '.index-'],
])('a comparison whose %s does not fit leaves the report before it', async (_, system, path) => {
  const compare = (systems: string) =>
    onDisk(['eval', '--data', library, '--systems', systems, '--output', join(disk.folder, 'report')]);
  expect((await compare('bm25')).code).toBe(0);
  const names = await readdir(join(disk.seen, 'report'));
  const before = await Promise.all(names.map((name) => content('report', name)));
  await disk.leave(8 * KB);
  expectNoRoom(await compare(system), `report/${path}`, disk.advice);
  expect(await readdir(join(disk.seen, 'report'))).toEqual(names);
  expect(await Promise.all(names.map((name) => content('report', name)))).toEqual(before);
});

test('vectors that do not fit are kept so far, and end with the bits of those that did', async () => {
  const encode = (output: string, ...more: string[]) =>
    onDisk(['encode', '--model', tinyModel, '--input', join(library, 'corpus.jsonl'), '--output', output, ...more]);
  const elsewhere = join(await temporaryFolder(), 'vectors.jsonl');
  expect((await encode(elsewhere)).code).toBe(0);
  const output = join(disk.folder, 'vectors.jsonl');
  await disk.leave(100 * KB);
  expectNoRoom(await encode(output), 'vectors.jsonl.partial', disk.advice);
  await disk.leave(0);
  expectNoRoom(await encode(output, '--resume'), 'vectors.jsonl', disk.advice);
  const names = await readdir(disk.seen);
  expect(names.filter((name) => name !== 'filler').sort()).toEqual([
    'vectors.jsonl.partial',
    'vectors.jsonl.partial.json',
  ]);
  await disk.free();
  expect((await encode(output, '--resume')).code).toBe(0);
  expect((await content('vectors.jsonl')).equals(await readFile(elsewhere))).toBe(true);
});
