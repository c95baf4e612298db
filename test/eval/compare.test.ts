import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { BeirDataset, BeirDocument } from '../../lib/eval/beir';
import { type CompareOptions, type ComparisonResult, compare } from '../../lib/eval/compare';
import { evaluate } from '../../lib/eval/evaluate';
import { type Report, writeComparison } from '../../lib/eval/report';
import {
  BM25_SYSTEMS,
  type DenseSystem,
  type SparseSearcher,
  type SparseSystem,
  type System,
} from '../../lib/eval/systems';
import { topK } from '../../lib/eval/top-k';
import { readRun } from '../../lib/eval/trec';
import { InvertedIndex } from '../../lib/index/inverted-index';
import type { SparseMatrix } from '../../lib/sparse-matrix';
import { dense, sparse } from './matrices';
import { rejected } from './thrown';

const WORDS = ['red', 'green', 'blue', 'q1'];

function dataset(): BeirDataset {
  const documents: BeirDocument[] = [
    { id: 'd1', title: 'red', text: 'green' },
    { id: 'd2', title: '', text: 'blue blue red' },
    { id: 'q1', title: '', text: 'red red red' },
    { id: 'd4', title: '', text: '' },
  ];
  return {
    directory: 'colours',
    split: 'test',
    qrels: new Map([
      ['q1', new Map([['d1', 1]])],
      ['q2', new Map([['d2', 2]])],
      ['q3', new Map([['d1', 1]])],
    ]),
    queries: new Map([
      ['q1', 'red'],
      ['q2', 'blue'],
      ['q3', 'white'],
    ]),
    async *documents() {
      yield* documents;
    },
  };
}

/** Weighs a word by a tenth of how often it comes. */
function counts(text: string): number[] {
  return WORDS.map((word) => text.split(' ').filter((other) => other === word).length / 10);
}

function wordSystem(name = 'words'): SparseSystem & { calls: string[] } {
  const calls: string[] = [];
  return {
    kind: 'sparse',
    name,
    calls,
    encode: async (texts, kind) => {
      calls.push(kind);
      const rows = texts.map((text) =>
        Object.fromEntries([...counts(text).entries()].filter(([, weight]) => weight > 0)),
      );
      return sparse(rows, WORDS.length);
    },
  };
}

const denseSystem: DenseSystem = {
  kind: 'dense',
  name: 'dense',
  encode: async (texts) => dense(texts.map(counts)),
};

/** Scores every document, as an index would. */
function searcherOf(log: string[] = []) {
  return async (documents: SparseMatrix, ids: readonly string[]): Promise<SparseSearcher> => ({
    bytes: { total: documents.nnz * 8, weights: documents.nnz * 4 },
    search: async (queries, k) => {
      log.push(`search ${k}`);
      return [...queries].map((query) => {
        const scores = [...documents].map((document) => Math.fround(query.dot(document)));
        const found = [...scores.keys()].filter((i) => scores[i]! > 0);
        return topK(found, k, (a, b) => scores[b]! - scores[a]! || a - b).map((document) => ({
          id: ids[document]!,
          document,
          score: scores[document]!,
        }));
      });
    },
    close: () => void log.push('close'),
  });
}

const temporaryIndexes = () => readdirSync(tmpdir()).filter((name) => name.startsWith('.index-'));

async function results(systems: readonly System[], options: CompareOptions = {}): Promise<ComparisonResult[]> {
  const found: ComparisonResult[] = [];
  for await (const result of compare(dataset(), systems, options)) found.push(result);
  return found;
}

describe('compare', () => {
  test('a sparse system encodes once and is cut at each threshold, documents and queries alike', async () => {
    const system = wordSystem();
    const log: string[] = [];
    const rows = await results([system], { thresholds: [0, 0.1, 0.2], createSearcher: searcherOf(log) });
    expect(system.calls).toEqual(['document', 'query']);
    expect(rows.map(({ row }) => row.threshold)).toEqual([0, 0.1, 0.2]);
    expect(rows.map(({ row }) => row.nnz)).toEqual([
      { documents: 5 / 4, queries: 2 / 3 },
      { documents: 2 / 4, queries: 0 },
      { documents: 1 / 4, queries: 0 },
    ]);
    expect(rows[0]!.row.flops).toBeCloseTo((1 / 3) * (3 / 4) + (1 / 3) * (1 / 4), 12);
    expect(rows[0]!.row.indexBytes).toEqual({ total: 40, weights: 20 });
    expect(log).toEqual(['search 1001', 'close', 'search 1001', 'close', 'search 1001', 'close']);
  });

  test('a document whose id is that of the query is dropped, and its place is filled', async () => {
    const options = { createSearcher: searcherOf(), depth: 1 };
    for (const { run } of await results([wordSystem(), denseSystem, ...Object.values(BM25_SYSTEMS)], options)) {
      expect(run.get('q1')!.map(({ document }) => document)).not.toContain('q1');
      expect(run.get('q1')!.length).toBe(1);
    }
  });

  test('it is kept when asked for', async () => {
    const options = { createSearcher: searcherOf(), depth: 1, keepSameId: true };
    for (const { run } of await results([wordSystem(), denseSystem], options)) {
      expect(run.get('q1')!.map(({ document }) => document)).toEqual(['q1']);
    }
  });

  test('a judged query without results is reported', async () => {
    const [{ row }] = (await results([wordSystem()], { createSearcher: searcherOf() })) as [ComparisonResult];
    expect(row).toMatchObject({ queries: 3, unanswered: 1, documents: 4 });
  });

  test('a dense row has no NNZ, no FLOPS and 4 bytes a value', async () => {
    const [{ row }] = (await results([denseSystem])) as [ComparisonResult];
    expect(row).toMatchObject({
      nnz: null,
      flops: null,
      threshold: null,
      terms: null,
      indexBytes: { total: 4 * 4 * 4 },
    });
    expect(row.seconds.index).toBeNull();
  });

  test('a BM25 row has terms, NNZ and FLOPS but no bytes and no threshold', async () => {
    const [{ row }] = (await results([BM25_SYSTEMS.bm25], { thresholds: [0, 0.3] })) as [ComparisonResult];
    expect(row).toMatchObject({
      system: 'bm25',
      threshold: null,
      indexBytes: null,
      terms: { contents: 8 },
      documents: 3,
    });
    expect(row.nnz).toEqual({ documents: 5 / 3, queries: 1 });
  });

  test('every row has the same members, in the same order', async () => {
    const rows = await results([BM25_SYSTEMS.bm25, denseSystem, wordSystem()], { createSearcher: searcherOf() });
    const names = rows.map(({ row }) => Object.keys(row).join());
    expect(new Set(names).size).toBe(1);
    expect(new Set(rows.map(({ row }) => Object.keys(row.seconds).join())).size).toBe(1);
  });

  test('progress names system, phase and counts', async () => {
    const seen: string[] = [];
    const onProgress: CompareOptions['onProgress'] = ({ system, phase, done, total }) =>
      seen.push(`${system} ${phase} ${done}/${total}`);
    await results([BM25_SYSTEMS.bm25], { onProgress });
    expect(seen).toEqual(['bm25 index 4/undefined', 'bm25 search 1/3', 'bm25 search 2/3', 'bm25 search 3/3']);
  });

  test('the searcher is closed when its search fails', async () => {
    const log: string[] = [];
    const createSearcher = async (documents: SparseMatrix, ids: readonly string[]) => ({
      ...(await searcherOf(log)(documents, ids)),
      search: async () => Promise.reject(new Error('search failed')),
    });
    await expect(results([wordSystem()], { createSearcher })).rejects.toThrow('search failed');
    expect(log).toEqual(['close']);
  });

  test.each([
    ['a name that comes twice', [denseSystem, denseSystem], {}, 'ERR_SYSTEM_NAME'],
    ['a name with a slash', [{ ...denseSystem, name: 'a/b' }], {}, 'ERR_SYSTEM_NAME'],
    ['the name of a directory', [{ ...denseSystem, name: '..' }], {}, 'ERR_SYSTEM_NAME'],
    ['a negative threshold', [denseSystem], { thresholds: [-1] }, 'ERR_OPTION_RANGE'],
    ['a threshold that is not a number', [denseSystem], { thresholds: [NaN] }, 'ERR_OPTION_RANGE'],
    ['a depth of 0', [denseSystem], { depth: 0 }, 'ERR_OPTION_RANGE'],
    ['a searcher that cannot be made', [wordSystem()], { createSearcher: {} }, 'ERR_OPTION_VALUE'],
    ['a system of no kind', [{ name: 'a', encode: denseSystem.encode }], {}, 'ERR_OPTION_VALUE'],
    ['a system that does not encode', [{ kind: 'sparse', name: 'a' }], {}, 'ERR_ARGUMENT_TYPE'],
    ['a row too few', [{ ...denseSystem, encode: async () => dense([[1]]) }], {}, 'ERR_SYSTEM_ROWS'],
    ['an unknown metric', [wordSystem()], { metrics: ['ndcg_10'] }, 'ERR_METRIC_NAME'],
  ])('%s is refused', async (_, systems, options, code) => {
    expect((await rejected(results(systems as System[], options as CompareOptions))).code).toBe(code);
  });

  test('a metric that does not exist shows before anything is encoded', async () => {
    const system = wordSystem();
    await rejected(results([system], { metrics: ['ndcg_10'] }));
    expect(system.calls).toEqual([]);
  });

  test('a sparse system has an inverted index of its own, unless another is given', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fles-'));
    const createSearcher = async (documents: SparseMatrix, ids: readonly string[]): Promise<SparseSearcher> => {
      const rows = ids.map((id, i) => ({ id, vector: documents.row(i) }));
      const index = await InvertedIndex.build(folder, rows);
      return {
        bytes: index.info.bytes,
        search: (queries, k) => index.searchBatch(queries, { k }),
        close: () => index.close(),
      };
    };
    const before = temporaryIndexes();
    const [own] = (await results([wordSystem()])) as [ComparisonResult];
    expect(temporaryIndexes()).toEqual(before);
    const [given] = (await results([wordSystem()], { createSearcher })) as [ComparisonResult];
    const [exhaustive] = (await results([wordSystem()], { createSearcher: searcherOf() })) as [ComparisonResult];
    expect([own.run, given.run]).toEqual([exhaustive.run, exhaustive.run]);
    expect(own.row.indexBytes).toEqual(given.row.indexBytes);
    expect(own.row.indexBytes!.total).toBeGreaterThan(own.row.indexBytes!.weights!);
  });

  test('an aborted signal ends the comparison', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(results([denseSystem], { signal })).rejects.toThrow('enough');
  });
});

describe('writeComparison', () => {
  test('refuses ids that a run cannot hold before anything is computed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fles-'));
    const data: BeirDataset = {
      ...dataset(),
      async *documents() {
        yield { id: 'doc 1', title: '', text: 'red' };
      },
    };
    const system = wordSystem();
    const error = await rejected(writeComparison(folder, data, [system], {}));
    expect(error).toMatchObject({
      code: 'ERR_RUN_ID',
      message: expect.stringContaining('"doc 1" (colours/corpus.jsonl, document 1) cannot be a document id'),
    });
    expect(system.calls).toEqual([]);
  });

  test('ends when it is aborted during a search with BM25', async () => {
    const controller = new AbortController();
    const data = { ...dataset(), queries: new Map(Array.from({ length: 2000 }, (_, i) => [`q${i}`, 'red'])) };
    const onProgress: CompareOptions['onProgress'] = ({ phase, done }) => {
      if (phase === 'search' && done === 1) setImmediate(() => controller.abort());
    };
    const results = compare(data, [BM25_SYSTEMS.bm25], { signal: controller.signal, onProgress });
    await expect(results.next()).rejects.toMatchObject({ name: 'AbortError' });
  });

  const systems = [BM25_SYSTEMS.bm25, BM25_SYSTEMS['bm25-multifield'], wordSystem('w'), denseSystem];
  const options = {
    thresholds: [0, 0.15],
    createSearcher: searcherOf(),
    provenance: { command: 'fles eval', models: 1 },
  };

  test('the directory holds the report twice and a run a row, whose figures it repeats', async () => {
    const folder = join(mkdtempSync(join(tmpdir(), 'fles-report-')), 'new', 'folder');
    const rows: string[] = [];
    const report = await writeComparison(folder, dataset(), systems, {
      ...options,
      onRow: ({ system }) => rows.push(system),
    });
    const runs = ['bm25.trec', 'bm25-multifield.trec', 'w@0.trec', 'w@0.15.trec', 'dense.trec'];
    expect(readdirSync(folder).sort()).toEqual([...runs, 'report.json', 'report.md'].sort());
    expect(rows).toEqual(['bm25', 'bm25-multifield', 'w', 'w', 'dense']);
    for (const [i, name] of runs.entries()) {
      const run = await readRun(join(folder, name)).catch(() => new Map());
      expect(evaluate(dataset().qrels, run).metrics, name).toEqual(report.rows[i]!.metrics);
    }
    expect(JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8'))).toEqual(report);
  });

  test('the report says where its figures come from', async () => {
    const report: Report = await writeComparison(mkdtempSync(join(tmpdir(), 'fles-')), dataset(), systems, options);
    expect(report).toMatchObject({
      command: 'fles eval',
      split: 'test',
      models: 1,
      versions: { node: process.versions.node },
    });
    expect(report.versions.fles).toMatch(/^\d+\.\d+\.\d+/);
    expect(report.dataset).toMatch(/^\/.*colours$/);
    expect(Number.isNaN(Date.parse(report.date))).toBe(false);
    expect(Object.keys(report.rows[0]!.metrics)).toEqual([
      'ndcg_cut_10',
      'recip_rank',
      'recip_rank_10',
      'recall_100',
      'map',
    ]);
  });

  test('the Markdown has one line a row, all of them as wide, and the notes', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fles-'));
    await writeComparison(folder, dataset(), systems, options);
    const text = readFileSync(join(folder, 'report.md'), 'utf8');
    const table = text.split('\n').filter((line) => line.startsWith('|'));
    expect(table.length).toBe(2 + 5);
    expect(new Set(table.map(({ length }) => length)).size).toBe(1);
    expect(table[0]).toMatch(
      /System +\| Threshold \| nDCG@10 \| +MRR \| MRR@10 \| Recall@100 \| +MAP \| NNZ documents/,
    );
    expect(text).toContain('- bm25: 1 of 3 judged queries have no results and count 0\n');
    expect(text).toContain('- bm25-multifield: 3 documents; terms: 7 in contents, 1 in title\n');
  });

  test('a directory that cannot be made is refused before anything is encoded', async () => {
    const system = wordSystem();
    const error = await rejected(writeComparison('/dev/null/x', dataset(), [system], options));
    expect(error.code).toBe('ERR_FILE_KIND');
    expect(system.calls).toEqual([]);
  });
});

test('runs are as deep as the metrics look', async () => {
  const documents = Array.from({ length: 1500 }, (_, i) => ({ id: `d${10_000 + i}`, title: '', text: 'red' }));
  const data: BeirDataset = {
    ...dataset(),
    qrels: new Map([['q', new Map([['d11499', 1]])]]),
    queries: new Map([['q', 'red']]),
    async *documents() {
      yield* documents;
    },
  };
  const metrics = ['recall_1000', 'recall_2000'];
  const recalls = async (options: CompareOptions) => {
    for await (const { row } of compare(data, [BM25_SYSTEMS.bm25], { metrics, ...options })) return row.metrics;
  };
  expect(await recalls({})).toEqual({ recall_1000: 0, recall_2000: 1 });
  expect(await recalls({ depth: 1400 })).toEqual({ recall_1000: 0, recall_2000: 0 });
  await expect(recalls({ metrics: ['P_1000001'] })).rejects.toMatchObject({ code: 'ERR_OPTION_RANGE' });
});
