import { execFile, spawnSync } from 'node:child_process';
import { cp, link, lstat, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeEach, expect, test } from 'vitest';
import { fles, library, tinyModel } from './run-fles';
import { temporaryFolder } from './temporary';

let folder: string;

beforeEach(async () => {
  folder = await temporaryFolder();
});

async function write(name: string, text: string): Promise<string> {
  await writeFile(join(folder, name), text);
  return join(folder, name);
}

/** Runs a command that must leave a file alone which is its input and its output. */
async function expectRefused(file: string, args: readonly string[]) {
  const before = await readFile(file);
  const { code, stdout, stderr } = await fles(args);
  expect(stderr).toMatch(/error: ERR_OUTPUT_IS_INPUT .* is the same file as the input .*; choose another output\n/);
  expect([code, stdout]).toEqual([2, '']);
  expect(await readFile(file)).toEqual(before);
}

test('texts stay where encode would write over them, under another name too', async () => {
  const input = await write('c.jsonl', '{"_id":"a","text":"search"}\n');
  await expectRefused(input, ['encode', '--model', tinyModel, '--input', input, '--output', input]);
  await link(input, join(folder, 'hard.jsonl'));
  await symlink(input, join(folder, 'soft.jsonl'));
  for (const name of ['hard.jsonl', 'soft.jsonl']) {
    await expectRefused(input, ['encode', '--model', tinyModel, '--input', input, '--output', join(folder, name)]);
  }
});

test('unfinished vectors stay where they are given as texts', async () => {
  const input = await write('v.jsonl.partial', '{"_id":"a","text":"search"}\n');
  const output = join(folder, 'v.jsonl');
  await expectRefused(input, ['encode', '--model', tinyModel, '--input', input, '--output', output]);
});

test('queries and vectors stay where search would write over them', async () => {
  const vectors = await write('v.jsonl', '{"id":"a","vector":{"bee":1}}\n');
  const queries = await write('q.jsonl', '{"_id":"a","text":"search"}\n');
  const index = join(folder, 'index');
  expect((await fles(['index', '--input', vectors, '--output', index])).code).toBe(0);
  await expectRefused(vectors, ['search', '--index', index, '--vectors', vectors, '--output', vectors]);
  const texts = ['--model', tinyModel, '--queries', queries];
  await expectRefused(queries, ['search', '--index', index, ...texts, '--output', queries]);
});

test('training data stays where data and mine would write over it, files that are read beside it too', async () => {
  const pairs = await write('pairs.jsonl', '{"query":"a","positive":"b"}\n');
  const run = await write('run.trec', 'a Q0 b 1 1 t\n');
  for (const command of ['data', 'mine']) {
    await expectRefused(pairs, [command, '--data', pairs, '--output', pairs]);
    await expectRefused(pairs, [command, '--data', folder, '--output', pairs]);
  }
  await expectRefused(run, ['mine', '--data', library, '--run', run, '--output', run]);
  const beir = join(folder, 'beir');
  await cp(library, beir, { recursive: true });
  for (const name of ['corpus.jsonl', 'queries.jsonl', 'qrels/test.tsv']) {
    const file = join(beir, name);
    await expectRefused(file, ['data', '--data', beir, '--split', 'test', '--output', file]);
    await expectRefused(file, ['data', '--data', pairs, '--test', beir, '--output', file]);
  }
});

test('what is written into a folder of data may be written again', async () => {
  const beir = join(folder, 'beir');
  await cp(library, beir, { recursive: true });
  const args = ['mine', '--data', beir, '--split', 'test', '--ids', '--output', join(beir, 'train.jsonl')];
  const codes = [(await fles(args)).code, (await fles(args)).code];
  expect(codes).toEqual([0, 0]);
});

test('the log of a run stays where report would write over it', async () => {
  await mkdir(join(folder, 'run'));
  const log = await write('run/metrics.jsonl', '{"kind":"step","step":1}\n');
  for (const run of [join(folder, 'run'), log]) await expectRefused(log, ['report', run, '--output', log]);
});

test('a device may be both', async () => {
  const { stderr } = await fles(['encode', '--model', tinyModel, '--input', '/dev/null', '--output', '/dev/null']);
  expect(stderr).toMatch(/^error: ERR_FILE_EMPTY /);
});

test('a pipe gets the page of a report and stays a pipe', async () => {
  const line = { kind: 'step', step: 1, loss: 1, terms: {}, rate: 1, gradientNorm: 1, examplesPerSecond: 1 };
  await write('metrics.jsonl', `${JSON.stringify(line)}\n`);
  const pipe = join(folder, 'pipe');
  spawnSync('mkfifo', [pipe]);
  const [{ code }, { stdout }] = await Promise.all([
    fles(['report', folder, '--output', pipe]),
    promisify(execFile)('timeout', ['20', 'cat', pipe]),
  ]);
  expect(code).toBe(0);
  expect(stdout).toContain('<!doctype html>');
  expect((await lstat(pipe)).isFIFO()).toBe(true);
});
