import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { fles, jsonLines, library } from './run-fles';
import { temporaryFolder } from './temporary';

let folder: string;

beforeEach(async () => {
  folder = await temporaryFolder();
});

async function pairs(name: string, ...queries: string[]): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, queries.map((query) => `${JSON.stringify({ query, positive: `to ${query}` })}\n`).join(''));
  return path;
}

test('the examples of each path are counted', async () => {
  const [a, b] = [await pairs('a.jsonl', 'one', 'two'), await pairs('b.jsonl', 'three')];
  const { code, stdout } = await fles(['data', '--data', a, b]);
  expect(code).toBe(0);
  expect(jsonLines(stdout)).toEqual([
    {
      data: [
        { path: a, examples: 2, documents: 2 },
        { path: b, examples: 1, documents: 1 },
      ],
      examples: 3,
    },
  ]);
});

test('queries of a test set are counted and shown, and left out of what is written', async () => {
  const [first] = jsonLines(await readFile(join(library, 'queries.jsonl'), 'utf8'));
  const data = await pairs('a.jsonl', 'one', `${first.text.toUpperCase()}!`, `${first.text} indeed`);
  const args = ['data', '--data', data, '--test', library];
  const [reported] = jsonLines((await fles(args)).stdout);
  expect(reported).toMatchObject({ examples: 3, leaks: { testQueries: 30, same: { examples: 1 } } });
  expect(reported.leaks.same.samples).toMatchObject([{ test: first.text, testId: first._id }]);
  const output = join(folder, 'clean.jsonl');
  const dropped = await fles([...args, '--similarity', '0.5', '--on-leak', 'drop', '--output', output]);
  expect([dropped.code, jsonLines(dropped.stdout)[0]]).toMatchObject([0, { examples: 1 }]);
  expect(jsonLines(await readFile(output, 'utf8'))).toEqual([{ query: 'one', positive: 'to one', negatives: [] }]);
  const failed = await fles([...args, '--on-leak', 'fail']);
  expect(failed.code).toBe(2);
  expect(failed.stderr).toMatch(/error: ERR_DATA_LEAK 1 of 3 examples of .* give away queries of .*library \(test\)/);
});

test('a split against itself is one leak from the first to the last example', async () => {
  const { stdout } = await fles(['data', '--data', library, '--split', 'test', '--test', library]);
  const [{ examples, leaks }] = jsonLines(stdout);
  expect(leaks.same).toMatchObject({ examples, testQueries: 30 });
});

test.each([
  ['--on-leak', 'fail'],
  ['--similarity', '0.5'],
  ['--test-split', 'dev'],
])('%s without a test set is refused', async (...option) => {
  const { code, stderr } = await fles(['data', '--data', await pairs('a.jsonl', 'one'), ...option]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/ERR_USAGE --\S+ needs --test/);
});

test('leaks are not dropped into nothing, and a broken line leaves no output', async () => {
  const data = await pairs('a.jsonl', 'one');
  const drop = await fles(['data', '--data', data, '--test', library, '--on-leak', 'drop']);
  expect([drop.code, drop.stderr]).toEqual([2, expect.stringContaining('ERR_USAGE --on-leak drop needs --output')]);
  await writeFile(join(folder, 'b.tsv'), 'one\ttwo\nthree\n');
  const broken = await fles(['data', '--data', data, join(folder, 'b.tsv'), '--output', join(folder, 'out.jsonl')]);
  expect([broken.code, broken.stderr]).toEqual([2, expect.stringMatching(/ERR_TSV_LINE .*b\.tsv:2 has 1 columns/)]);
  expect((await readdir(folder)).sort()).toEqual(['a.jsonl', 'b.tsv']);
});
