import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  bm25Search,
  type FoundDocument,
  type MinedExample,
  type MineOptions,
  mineNegatives,
  openPairs,
  type PairSource,
  runSearch,
  type Search,
} from '../../../lib/train/data';
import { temporaryFolder } from '../../cli/temporary';
import { rejected, thrown } from '../../eval/thrown';

const OPTIONS: MineOptions = { count: 2, from: 1, to: 100, draw: 'first', seed: 0 };

async function sourceOf(lines: readonly { query: string; positive: string }[]): Promise<PairSource> {
  const path = join(await temporaryFolder(), 'pairs.jsonl');
  await writeFile(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return openPairs(path);
}

/** One query "a" with positive p0, and the documents p0 to p9 without blanks. */
const ten = () =>
  sourceOf(Array.from({ length: 10 }, (_, i) => ({ query: i === 0 ? 'a' : `other ${i}`, positive: `p${i}` })));

/** A search that finds these documents for every query. */
const finding =
  (...found: FoundDocument[]): Search =>
  async (queries) =>
    queries.map(() => found);

/** Documents of the pool by number, scores 1 apart from 10 on. */
const ranked = (...documents: number[]) => documents.map((document, i) => ({ document, score: 10 - i }));

async function mined(source: PairSource, search: Search, options: Partial<MineOptions> = {}): Promise<MinedExample[]> {
  const all: MinedExample[] = [];
  for await (const example of mineNegatives(source, search, { ...OPTIONS, ...options })) all.push(example);
  return all;
}

/** Negatives of query "a". */
async function negativesOfFirst(found: FoundDocument[], options: Partial<MineOptions> = {}) {
  const source = await ten();
  const [first] = await mined(source, finding(...found), options);
  await source.close();
  return first!.negatives.map(({ text }) => text);
}

test('the first documents that a search finds become negatives, with their scores, without the positive', async () => {
  const source = await ten();
  const all = await mined(source, finding(...ranked(3, 0, 5, 7)));
  expect(all.length).toBe(10);
  const { query, positive, negatives, scores } = all[0]!;
  expect([query, positive, ...negatives].map(({ text }) => text)).toEqual(['a', 'p0', 'p3', 'p5']);
  expect(Array.from(scores)).toEqual([9, 10, 8]);
  expect(all[7]!.negatives.map(({ text }) => text)).toEqual(['p3', 'p0']);
  await source.close();
});

test('the score of a positive that is not found is NaN', async () => {
  const source = await ten();
  const [first] = await mined(source, finding(...ranked(3, 5)));
  expect(Array.from(first!.scores)).toEqual([Number.NaN, 10, 9]);
  await source.close();
});

test('no other positive of the query becomes a negative, nor a document with the text of one', async () => {
  const source = await sourceOf([
    { query: 'a', positive: 'one' },
    { query: 'b', positive: 'one' },
    { query: 'a', positive: 'two' },
    { query: 'b', positive: 'three' },
    { query: 'c', positive: 'three' },
  ]);
  const all = await mined(source, finding(...ranked(0, 1, 2, 3, 4)), { count: 5 });
  const texts = all.map(({ query, negatives }) => [query.text, ...negatives.map(({ text }) => text)]);
  expect(texts).toEqual([
    ['a', 'three'],
    ['b', 'two'],
    ['a', 'three'],
    ['b', 'two'],
    ['c', 'one', 'two'],
  ]);
  await source.close();
});

describe('negatives come', () => {
  test.each<[string, Partial<MineOptions>, string[]]>([
    ['from the ranks asked for, the positive counted', { from: 2, to: 4, count: 9 }, ['p2', 'p3']],
    ['from scores up to a largest one', { maxScore: 7, count: 9 }, ['p3', 'p4', 'p5']],
    ['from scores down to a least one', { minScore: 8, count: 9 }, ['p1', 'p2']],
    ['from a margin below the positive', { margin: 2, count: 9 }, ['p3', 'p4', 'p5']],
    ['from a part of its score below the positive', { relativeMargin: 0.3, count: 9 }, ['p4', 'p5']],
    ['with a margin of 0 from below the positive', { margin: 0, count: 9 }, ['p2', 'p3', 'p4', 'p5']],
  ])('%s', async (_, options, expected) => {
    // p1 10, p0 (positive) 9, p2 8, p3 7, p4 6, p5 5.
    expect(await negativesOfFirst(ranked(1, 0, 2, 3, 4, 5), options)).toEqual(expected);
  });

  test('with a margin only where the positive was found', async () => {
    expect(await negativesOfFirst(ranked(1, 2), { margin: 0 })).toEqual([]);
    expect(await negativesOfFirst(ranked(1, 2), { relativeMargin: 0 })).toEqual([]);
    expect(await negativesOfFirst(ranked(1, 2))).toEqual(['p1', 'p2']);
  });

  test('below a negative score of the positive by a part of it', async () => {
    const found = [-1, -2, -2.4, -3].map((score, document) => ({ document: (document + 3) % 4, score }));
    // p3 -1, p0 -2, p1 -2.4, p2 -3.
    expect(await negativesOfFirst(found, { relativeMargin: 0.3 })).toEqual(['p2']);
  });

  test('at random from all ranks when they are drawn, in the order of ranks, as the seed decides', async () => {
    const found = ranked(0, 1, 2, 3, 4, 5);
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 300; seed++) {
      const drawn = await negativesOfFirst(found, { draw: 'random', seed });
      expect(drawn).toEqual(drawn.toSorted());
      expect(new Set(drawn).size).toBe(2);
      for (const text of drawn) counts.set(text, (counts.get(text) ?? 0) + 1);
    }
    // Each of five is drawn with 2/5 of 300 = 120, standard deviation 8.5.
    expect([...counts.keys()].sort()).toEqual(['p1', 'p2', 'p3', 'p4', 'p5']);
    for (const count of counts.values()) expect(Math.abs(count - 120)).toBeLessThan(43);
    const draw = () => negativesOfFirst(found, { draw: 'random', seed: 3 });
    expect(await draw()).toEqual(await draw());
  });
});

test('a query is searched for once, however many examples it has in a row', async () => {
  const source = await sourceOf(
    Array.from({ length: 500 }, (_, i) => ({ query: `q${Math.floor(i / 100)}`, positive: `p${i}` })),
  );
  const asked: string[] = [];
  await mined(source, async (queries) => {
    asked.push(...queries.map(({ text }) => text));
    return queries.map(() => ranked(1));
  });
  expect(asked).toEqual(['q0', 'q1', 'q2', 'q3', 'q4']);
  await source.close();
});

test('BM25 finds the documents that share words with a query, each text once', async () => {
  const source = await sourceOf([
    { query: 'green apples', positive: 'apples that are green' },
    { query: 'apples', positive: 'red apples' },
    { query: 'red', positive: 'red apples' },
    { query: 'pears', positive: 'pears' },
  ]);
  const { search } = await bm25Search(source.pool, { k: 10 });
  const found = await search((await source.examples([0, 2])).map(({ query }) => query));
  expect(found.map((documents) => documents.map(({ document }) => document))).toEqual([[0, 1], [1]]);
  await source.close();
});

test('a run is ranked as trec_eval does and needs documents with ids', async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'collection.tsv'), '0\tzero\n1\tone\n2\ttwo\n');
  await writeFile(join(folder, 'queries.tsv'), '7\tseven\n8\teight\n');
  await writeFile(join(folder, 'qidpidtriples.tsv'), '7\t0\t1\n8\t0\t1\n');
  const source = await openPairs(folder);
  const run = new Map([
    [
      '7',
      [
        { document: '1', score: 2 },
        { document: '0', score: 3 },
        { document: '2', score: 2 },
      ],
    ],
  ]);
  const queries = (await source.examples([0, 1])).map(({ query }) => query);
  const { search } = runSearch(source.pool, run, 'run.trec', { k: 2 });
  expect(await search(queries)).toEqual([
    [
      { document: 0, score: 3 },
      { document: 2, score: 2 },
    ],
    [],
  ]);
  const stray = runSearch(source.pool, new Map([['7', [{ document: 'x', score: 1 }]]]), 'run.trec', { k: 2 });
  const error = await rejected(stray.search(queries));
  expect(error.code).toBe('ERR_DOCUMENT_NOT_FOUND');
  expect(error.message).toMatch(/^run\.trec names the document "x"/);
  await source.close();
  const pairs = await ten();
  expect(thrown(() => runSearch(pairs.pool, run, 'run.trec', { k: 2 })).code).toBe('ERR_DATA_IDS');
  await pairs.close();
});

test('a document that is the query itself becomes no negative, as in collections of questions', async () => {
  const source = await sourceOf([
    { query: 'what is a bee', positive: 'which animal is a bee' },
    { query: 'other', positive: 'what is a bee' },
    { query: 'another', positive: 'what is a wasp' },
  ]);
  const [first] = await mined(source, finding(...ranked(1, 0, 2)));
  expect(first!.negatives.map(({ text }) => text)).toEqual(['what is a wasp']);
  await source.close();
});
