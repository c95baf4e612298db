import { readdir, readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { searchCommand } from '../../lib/cli/search';
import { Session } from '../../lib/cli/terminal';
import { readRun } from '../../lib/eval/trec';
import { InvertedIndex } from '../../lib/index/inverted-index';
import { fles, jsonLines, library, tinyModel } from './run-fles';
import { temporaryFile, temporaryFolder } from './temporary';

const VECTORS = ['{"id":"a","vector":{"bee":2,"2019":1}}', '{"id":"b","vector":{"bee":1}}', '{"id":"c","vector":{}}'];
const QUERIES = '{"id":"q1","vector":{"bee":1,"2019":3}}\n{"id":"q2","vector":{"unheard":1}}\n';

let folder: string;
let index: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  index = join(folder, 'index');
});

async function build(...lines: string[]) {
  return fles(['index', '--input', await temporaryFile('v.jsonl', `${lines.join('\n')}\n`), '--output', index]);
}

test('vectors are indexed, and the size of the index is printed', async () => {
  const { code, stdout } = await build(...VECTORS);
  expect(code).toBe(0);
  expect(jsonLines(stdout)).toMatchObject([{ output: index, documents: 3, terms: 2, postings: 3 }]);
});

test('a search prints the six columns of TREC, best first', async () => {
  await build(...VECTORS);
  const vectors = await temporaryFile('q.jsonl', QUERIES);
  const { code, stdout } = await fles(['search', '--index', index, '--vectors', vectors, '--tag', 'mine']);
  expect(code).toBe(0);
  expect(stdout).toBe('q1 Q0 a 1 5 mine\nq1 Q0 b 2 1 mine\n');
});

test('documents of equal score stand in the order of the index, whatever k is', async () => {
  await build('{"id":"a","vector":{"bee":1.1}}', '{"id":"z","vector":{"bee":1.1}}', '{"id":"b","vector":{"bee":1.1}}');
  const search = (k: string) =>
    fles(['search', '--index', index, '--vectors', '-', '--k', k], { input: '{"id":7,"vector":{"bee":1}}' });
  const [one, all] = await Promise.all([search('1'), search('1000')]);
  expect(one.stdout).toBe('7 Q0 a 1 1.1 fles\n');
  expect(all.stdout).toBe('7 Q0 a 1 1.1 fles\n7 Q0 z 2 1.1 fles\n7 Q0 b 3 1.1 fles\n');
});

test('a search returns k documents a query', async () => {
  await build(...VECTORS);
  const { stdout } = await fles(['search', '--index', index, '--vectors', '-', '--k', '1'], { input: QUERIES });
  expect(stdout).toBe('q1 Q0 a 1 5 fles\n');
});

test('queries beyond one batch all get their answer, in order', async () => {
  await build(...VECTORS);
  const input = Array.from({ length: 200 }, (_, i) => `{"id":"q${i}","vector":{"bee":${i + 1}}}\n`).join('');
  const { stdout } = await fles(['search', '--index', index, '--vectors', '-', '--k', '1'], { input });
  expect(stdout.trim().split('\n')).toEqual(Array.from({ length: 200 }, (_, i) => `q${i} Q0 a 1 ${2 * (i + 1)} fles`));
});

test('queries that may have many hits are searched for a few at a time', async () => {
  const documents = Array.from({ length: 40_000 }, (_, i) => ({ id: `d${i}`, vector: { bee: i < 2 ? 1 : 0 } }));
  (await InvertedIndex.build(index, documents)).close();
  const lines = Array.from({ length: 70 }, (_, i) => `{"id":"q${i}","vector":{"bee":1}}\n`).join('');
  const vectors = await temporaryFile('q.jsonl', lines);
  const searchBatch = vi.spyOn(InvertedIndex.prototype, 'searchBatch');
  const run = join(folder, 'run.trec');
  for (const [k, batches] of [
    ['10', [64, 6]],
    ['40000', [25, 25, 20]],
    ['2147483647', [25, 25, 20]],
  ] as const) {
    searchBatch.mockClear();
    const command = searchCommand(new Session(new AbortController().signal));
    await command.parseAsync(['--index', index, '--vectors', vectors, '--k', k, '--output', run], { from: 'user' });
    expect(searchBatch.mock.calls.map(([queries]) => [...queries].length)).toEqual(batches);
    expect(new Set([...(await readRun(run)).values()].map((hits) => hits.length))).toEqual(new Set([2]));
    expect((await readRun(run)).size).toBe(70);
  }
  searchBatch.mockRestore();
});

describe('with a model', () => {
  let vectors: string;
  let queryVectors: string;

  beforeAll(async () => {
    const encode = (input: string, kind: string) =>
      fles(['encode', '--model', tinyModel, '--input', join(library, input), '--output', '-', '--kind', kind]);
    vectors = (await encode('corpus.jsonl', 'document')).stdout;
    queryVectors = (await encode('queries.jsonl', 'query')).stdout;
  });

  test('index and search give what they give with vectors of the model', async () => {
    const other = join(folder, 'other');
    const run = join(folder, 'run.trec');
    const [direct, indirect] = await Promise.all([
      fles(['index', '--model', tinyModel, '--data', library, '--output', index]),
      fles(['index', '--input', '-', '--output', other], { input: vectors }),
    ]);
    expect([direct.code, indirect.code]).toEqual([0, 0]);
    const queries = join(library, 'queries.jsonl');
    const [texts, ready] = await Promise.all([
      fles(['search', '--index', index, '--model', tinyModel, '--queries', queries, '--k', '10', '--output', run]),
      fles(['search', '--index', other, '--vectors', '-', '--k', '10'], { input: queryVectors }),
    ]);
    expect([texts.code, ready.code, texts.stdout]).toEqual([0, 0, '']);
    expect(await readFile(run, 'utf8')).toBe(ready.stdout);
    expect((await readRun(run)).size).toBe(30);
    expect((await readdir(folder)).sort()).toEqual(['index', 'other', 'run.trec']);
  });
});

describe('what cannot be done', () => {
  test.each([
    ['a weight below 0', '{"id":"a","vector":{"x":-1}}', 'ERR_VECTOR_LINE'],
    ['an id that comes twice', '{"id":"a","vector":{}}\n{"id":"a","vector":{}}', 'ERR_ID_DUPLICATE'],
    ['no vector', '{"id":"a"}', 'ERR_VECTOR_LINE'],
  ])('%s is refused, naming the line, and no index appears', async (_, lines, code) => {
    const outcome = await build(lines);
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toMatch(new RegExp(`^error: ${code} .*v\\.jsonl:\\d`, 'm'));
    expect(await readdir(folder)).toEqual([]);
  });

  test('a folder that holds something else is not replaced', async () => {
    const file = await temporaryFile('precious.txt', 'x');
    const { code, stderr } = await fles(['index', '--input', '-', '--output', join(file, '..')], {
      input: VECTORS[0]!,
    });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: ERR_INDEX_DIRECTORY /m);
    expect(await readFile(file, 'utf8')).toBe('x');
  });

  test('an index that does not exist or is damaged is refused with code 2', async () => {
    const search = ['search', '--index', index, '--vectors', '-'];
    const absent = await fles(search, { input: QUERIES });
    expect(absent.code).toBe(2);
    expect(absent.stderr).toMatch(/^error: ERR_FILE_NOT_FOUND /);
    await build(...VECTORS);
    const [file] = await readdir(index);
    await truncate(join(index, file!), 300);
    const damaged = await fles(search, { input: QUERIES });
    expect(damaged.code).toBe(2);
    expect(damaged.stderr).toMatch(/^error: ERR_/);
  });

  test('queries that do not exist are named, not the run that would be written', async () => {
    await build(...VECTORS);
    const gone = join(folder, 'gone.jsonl');
    const { code, stderr } = await fles(['search', '--index', index, '--vectors', gone, '--output', join(folder, 'r')]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/error: ERR_FILE_NOT_FOUND .*gone\.jsonl does not exist/);
  });

  test('a score beyond float32 is refused, naming the query', async () => {
    await build('{"id":"a","vector":{"bee":3e38}}');
    const { code, stderr } = await fles(['search', '--index', index, '--vectors', '-'], {
      input: '{"id":"fine","vector":{"bee":1}}\n{"id":"too much","vector":{"bee":2}}\n',
    });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: ERR_SCORE_RANGE the score of query "too much" with document "a" is beyond/m);
  });

  test('an id with white space cannot be a column of a run, which is said', async () => {
    await build('{"id":"a b","vector":{"bee":1}}');
    const { code, stderr } = await fles(['search', '--index', index, '--vectors', '-'], { input: QUERIES });
    expect(code).toBe(2);
    expect(stderr).toContain(`error: ERR_RUN_ID "a b" (${index}) cannot be a document id`);
    const query = '{"id":"fine","vector":{}}\n{"id":"c d","vector":{"bee":1}}\n';
    const other = await fles(['search', '--index', index, '--vectors', '-'], { input: query });
    expect(other.stderr).toContain('error: ERR_RUN_ID "c d" (stdin, query 2) cannot be a query id');
  });
});
