import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { readBeir } from '../../lib/eval/beir';
import { fles, jsonLines, library, tinyModel } from './run-fles';
import { temporaryFolder } from './temporary';

let folder: string;
let output: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  output = join(folder, 'mined.jsonl');
});

const mine = (...args: string[]) => fles(['mine', '--data', library, '--split', 'test', '--output', output, ...args]);

const readMined = async () => jsonLines(await readFile(output, 'utf8'));

async function pairs(...lines: object[]): Promise<string> {
  const path = join(folder, 'pairs.jsonl');
  await writeFile(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return path;
}

/** Every example of the library is there in order, with negatives of the corpus that are not judged relevant. */
async function expectNegatives(count: number) {
  const { qrels, queries, documents } = await readBeir(library, 'test');
  const texts = new Map<string, string>();
  for await (const { id, title, text } of documents()) texts.set(id, `${title} ${text}`.trim());
  const expected = [...qrels].flatMap(([query, judged]) =>
    [...judged].filter(([, relevance]) => relevance > 0).map(([document]) => `${query} ${document}`),
  );
  const lines = await readMined();
  expect(lines.map(({ ids }) => `${ids.query} ${ids.positive}`)).toEqual(expected);
  for (const { query, positive, negatives, ids } of lines) {
    expect(query).toBe(queries.get(ids.query));
    expect([positive, ...negatives]).toEqual([ids.positive, ...ids.negatives].map((id) => texts.get(id)));
    expect(negatives.length).toBeLessThanOrEqual(count);
    for (const id of ids.negatives) expect(qrels.get(ids.query)!.get(id) ?? 0).toBe(0);
  }
  return lines;
}

test('BM25 gives each example negatives that are not judged relevant, and what became of them is printed', async () => {
  const { code, stdout, stderr } = await mine('--count', '3');
  expect([code, stderr]).toEqual([0, expect.not.stringContaining('error')]);
  const lines = await expectNegatives(3);
  expect(lines.every(({ negatives }) => negatives.length === 3)).toBe(true);
  expect(lines[0]).not.toHaveProperty('scores');
  const [{ positivesNotFound, ...summary }] = jsonLines(stdout) as [Record<string, unknown>];
  expect(summary).toEqual({ output, examples: lines.length, negatives: 3 * lines.length, incomplete: 0, without: 0 });
  expect(positivesNotFound).toBeLessThan(lines.length / 4);
  expect(await readdir(folder)).toEqual(['mined.jsonl']);
});

test('the same seed gives the same file, another one another', async () => {
  const files: string[] = [];
  for (const seed of ['1', '1', '2']) {
    await mine('--seed', seed);
    files.push(await readFile(output, 'utf8'));
  }
  expect([files[0] === files[1], files[0] === files[2]]).toEqual([true, false]);
});

test('a sparse model is searched with an index that is gone afterwards', async () => {
  const { code } = await mine('--model', tinyModel, '--count', '2', '--draw', 'first', '--scores');
  expect(code).toBe(0);
  for (const { negatives, scores } of await expectNegatives(2)) {
    expect(scores.length).toBe(1 + negatives.length);
    expect(scores.slice(1)).toEqual(scores.slice(1).toSorted((a: number, b: number) => b - a));
  }
  expect(await readdir(folder)).toEqual(['mined.jsonl']);
});

test('a run gives its documents, and what it did not find is null among the scores', async () => {
  const run = join(folder, 'run.trec');
  const { qrels } = await readBeir(library, 'test');
  const [query, judged] = [...qrels][0]!;
  const strangers = ['', '', ''].map((_, i) => [...qrels][i + 1]![1].keys().next().value!);
  expect(strangers.some((id) => judged.has(id))).toBe(false);
  await writeFile(run, strangers.map((id, i) => `${query} Q0 ${id} ${i + 1} ${9 - i} x\n`).join(''));
  const { code, stdout } = await mine('--run', run, '--from', '2', '--draw', 'first', '--scores');
  expect(code).toBe(0);
  const lines = await expectNegatives(7);
  expect(lines[0]).toMatchObject({ ids: { negatives: strangers.slice(1) }, scores: [null, 8, 7] });
  const [summary] = jsonLines(stdout);
  expect(summary).toMatchObject({ incomplete: lines.length, positivesNotFound: lines.length });
  expect(summary.without).toBe(lines.length - [...judged.values()].filter((relevance) => relevance > 0).length);
});

test('ids alone are training data again, with the texts that they stand for', async () => {
  await mine('--seed', '3', '--count', '2');
  const whole = await readMined();
  const { code } = await mine('--seed', '3', '--count', '2', '--ids');
  expect(code).toBe(0);
  expect(await readMined()).toEqual(whole.map(({ ids }) => ({ ids })));
  const texts = ['--corpus', join(library, 'corpus.jsonl'), '--queries', join(library, 'queries.jsonl')];
  const { stdout } = await fles(['data', '--data', output, ...texts, '--output', '-']);
  expect(jsonLines(stdout)).toEqual(whole);
  const refused = await fles(['mine', '--data', await pairs({ query: 'q', positive: 'p' }), '--output', '-', '--ids']);
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('ERR_DATA_IDS')]);
});

test('pairs without ids are mined among their positives, on standard output too, and are training data again', async () => {
  const data = await pairs(
    { query: 'green apples', positive: 'apples that are green' },
    { query: 'red apples', positive: 'apples that are red' },
    { query: 'pears', positive: 'pears' },
  );
  const { code, stdout, stderr } = await fles(['mine', '--data', data, '--output', '-']);
  expect([code, stderr]).toEqual([0, expect.stringContaining('2 negatives for 3 examples, 3 with fewer than asked')]);
  expect(jsonLines(stdout)).toEqual([
    { query: 'green apples', positive: 'apples that are green', negatives: ['apples that are red'] },
    { query: 'red apples', positive: 'apples that are red', negatives: ['apples that are green'] },
    { query: 'pears', positive: 'pears', negatives: [] },
  ]);
  await writeFile(output, stdout);
  const again = await fles(['mine', '--data', output, '--output', '-']);
  expect(again.stdout).toBe(stdout);
});

describe('what cannot be mined', () => {
  test.each<[string, string[], RegExp]>([
    ['a model and a run at once', ['--model', 'm', '--run', 'r'], /ERR_USAGE expected --model or --run, not both/],
    ['ranks in the wrong order', ['--from', '9', '--to', '3'], /ERR_USAGE --from is 9 and --to is 3/],
    ['options of a model without one', ['--max-length', '9'], /ERR_USAGE --max-length needs --model/],
    ['a split that is not there', ['--split', 'train'], /ERR_SPLIT_NOT_FOUND .* expected one of test/],
    ['no negative at all', ['--min-score', '1000'], /ERR_DATA_EXHAUSTED the search found no negative for any of \d+/],
  ])('%s ends with code 2 and no file', async (_, args, message) => {
    const { code, stderr } = await mine(...args);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(await readdir(folder)).toEqual([]);
  });

  test('a broken line ends with code 2, its file and number', async () => {
    const data = await pairs({ query: 'q', positive: 'p' }, { query: 'q' });
    const { code, stderr } = await fles(['mine', '--data', data, '--output', output]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/error: ERR_RECORD_FIELD .*pairs\.jsonl:2 field "positive" is absent/);
    expect(await readdir(folder)).toEqual(['pairs.jsonl']);
  });
});
