import { statSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InvertedIndex, type SearchAlgorithm } from '../../lib/index/inverted-index';
import { LargeMap } from '../../lib/large-map';
import { SparseMatrix } from '../../lib/sparse-matrix';
import { SparseVector } from '../../lib/sparse-vector';
import { bruteForce, random, type Weights } from './brute-force';
import { temporaryFolder } from './temporary';

const { fresh } = temporaryFolder();
const ALGORITHMS: SearchAlgorithm[] = ['block_accumulation', 'exhaustive'];
const LIBRARY: { id: string; vector: Weights }[] = [
  { id: 'a', vector: { sea: 1, ship: 2 } },
  { id: 'b', vector: { sea: 3 } },
  { id: 'c', vector: {} },
  { id: 'd', vector: { ship: 0.5, harbour: 1 } },
];

// Few terms and few weights make equal scores, and sums that depend on the order of adding, common.
const term = fc.constantFrom('a', 'b', 'é', '😀', 'ﬀ', '10', '9', '__proto__x', '');
const weight = fc.oneof(fc.constantFrom(0.5, 1, 2, 0), fc.float({ min: Math.fround(1e-3), max: 3, noNaN: true }));
const weights = fc.uniqueArray(fc.tuple(term, weight), { selector: ([t]) => t }).map((w) => Object.fromEntries(w));

test('a search returns exactly what brute force returns, equal scores by document number', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(weights, { maxLength: 60 }),
      fc.array(weights, { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 70 }),
      async (vectors, queries, k) => {
        const documents = vectors.map((vector, i) => ({ id: `d${i}`, vector }));
        const index = await InvertedIndex.build(fresh(), documents);
        for (const algorithm of ALGORITHMS) {
          for (const query of queries) {
            expect(await index.search(query, { k, algorithm })).toEqual(bruteForce(documents, query, k));
          }
        }
        index.close();
      },
    ),
    { numRuns: 60, seed: 7 },
  );
});

test('hits are exact over several blocks of documents', async () => {
  const next = random(11);
  const names = Array.from({ length: 300 }, (_, i) => `t${i}`);
  const documents = Array.from({ length: 70_000 }, (_, i) => {
    const vector: Weights = {};
    for (let n = 0; n < 6; n++) vector[names[Math.floor(300 * next() ** 3)]!] = Math.fround(0.05 + next());
    // A gap: no document of the second block has a term.
    return { id: `d${i}`, vector: i >= 32_768 && i < 65_536 && i % 2 === 0 ? {} : vector };
  });
  const index = await InvertedIndex.build(fresh(), documents);
  for (let q = 0; q < 12; q++) {
    const query: Weights = {};
    for (let n = 0; n < 1 + q; n++) query[names[Math.floor(300 * next() ** (q % 3))]!] = Math.fround(0.05 + next());
    for (const k of [1, 10, 1000]) {
      const expected = bruteForce(documents, query, k);
      for (const algorithm of ALGORITHMS) expect(await index.search(query, { k, algorithm })).toEqual(expected);
    }
  }
  index.close();
});

test('the form in which vectors are given and the order of their terms do not change a bit of a score', async () => {
  const next = random(3);
  const vocabulary = Array.from({ length: 50 }, (_, i) => `term${(i * 37) % 50}`);
  const vectors = Array.from({ length: 200 }, () => {
    const terms = Uint32Array.from(vocabulary.keys()).filter(() => next() < 0.4);
    return new SparseVector(
      terms,
      Float32Array.from(terms, () => 0.01 + 2 * next()),
      vocabulary,
    );
  });
  const reversed = (vector: SparseVector) => Object.fromEntries(Object.entries(vector.toObject()).reverse());
  const name = (i: number) => `d${i}`;
  const sparse = await InvertedIndex.build(
    fresh(),
    vectors.map((vector, i) => ({ id: name(i), vector })),
  );
  const plain = await InvertedIndex.build(
    fresh(),
    vectors.map((vector, i) => ({ id: name(i), vector: reversed(vector) })),
  );
  for (const query of vectors.slice(0, 20)) {
    const hits = await sparse.search(query, { k: 200 });
    expect(hits).toEqual(
      bruteForce(
        vectors.map((v, i) => ({ id: name(i), vector: v.toObject() })),
        query.toObject(),
        200,
      ),
    );
    for (const other of [query, query.toObject(), reversed(query)]) {
      expect(await plain.search(other, { k: 200 })).toEqual(hits);
    }
  }
  expect(sparse.info).toEqual(plain.info);
  sparse.close();
  plain.close();
});

test('terms that the index lacks and weights of 0 add nothing', async () => {
  const index = await InvertedIndex.build(fresh(), [...LIBRARY, { id: 'e', vector: { sea: 0, tide: 1e-50 } }]);
  expect(index.info).toMatchObject({ documents: 5, terms: 3, postings: 5 });
  expect(await index.search({ sea: 1, moon: 4, ship: 0 }, { k: 10 })).toEqual([
    { id: 'b', document: 1, score: 3 },
    { id: 'a', document: 0, score: 1 },
  ]);
  expect(await index.search({ moon: 1 }, { k: 10 })).toEqual([]);
  expect(await index.search({}, { k: 10 })).toEqual([]);
  index.close();
});

test('an index without documents, or with empty ones only, has no hits', async () => {
  const none = await InvertedIndex.build(fresh(), []);
  expect(none.info).toMatchObject({ documents: 0, terms: 0, postings: 0, bytesPerPosting: 0 });
  expect(await none.search({ sea: 1 }, { k: 3 })).toEqual([]);
  none.close();
  const empty = await InvertedIndex.build(fresh(), [{ id: 'x', vector: {} }]);
  expect(empty.info).toMatchObject({ documents: 1, terms: 0, postings: 0 });
  for (const algorithm of ALGORITHMS) expect(await empty.search({ sea: 1 }, { k: 3, algorithm })).toEqual([]);
  empty.close();
});

test('an index opened again gives the same hits and the same figures', async () => {
  const directory = fresh();
  const built = await InvertedIndex.build(directory, LIBRARY);
  const opened = await InvertedIndex.open(directory);
  expect(opened.info).toEqual(built.info);
  const query = { ship: 1, harbour: 2 };
  expect(await opened.search(query, { k: 4 })).toEqual(await built.search(query, { k: 4 }));
  built.close();
  opened.close();
});

test("the parts of an index's bytes add up to its file", async () => {
  const directory = fresh();
  const index = await InvertedIndex.build(directory, LIBRARY);
  const { total, ...parts } = index.info.bytes;
  expect(total).toBe(statSync(join(directory, 'index.fles')).size);
  expect(Object.values(parts).reduce((a, b) => a + b)).toBe(total);
  expect(parts).toMatchObject({ documentIds: 2 * 5, weights: 4 * 5, bounds: 0 });
  expect(index.info.bytesPerPosting).toBe(total / 5);
  index.close();
});

test('ids and terms of any script come back as they were', async () => {
  const ids = ['', 'a b\n', 'naïve', '東京', '😀', '\u0000', '__proto__', 'constructor'];
  const documents = ids.map((id, i) => ({ id, vector: { [`${id}-term`]: i + 1 } }));
  const index = await InvertedIndex.build(fresh(), documents);
  for (const [document, { id, vector }] of documents.entries()) {
    expect(await index.search(vector, { k: 9 })).toEqual([{ id, document, score: (document + 1) ** 2 }]);
  }
  index.close();
});

test('weights that are negative or not finite are refused, naming the document and the term', async () => {
  for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY, 1e39, '1' as unknown as number]) {
    await expect(InvertedIndex.build(fresh(), [{ id: 'd7', vector: { sea: 1, ship: bad } }])).rejects.toMatchObject({
      code: 'ERR_WEIGHT_RANGE',
      message: expect.stringMatching(/"d7".*"ship"/),
    });
  }
  const index = await InvertedIndex.build(fresh(), LIBRARY);
  for (const query of [{ sea: -1 }, { moon: Number.NaN }] as Weights[]) {
    await expect(index.search(query, { k: 1 })).rejects.toMatchObject({ code: 'ERR_WEIGHT_RANGE' });
  }
  index.close();
});

test('documents that cannot be indexed are refused with a code', async () => {
  const vector = { sea: 1 };
  const refused = async (documents: { id: string; vector: Weights | SparseVector }[], code: string) =>
    expect(InvertedIndex.build(fresh(), documents)).rejects.toMatchObject({ code });
  const two = [
    { id: 'x', vector },
    { id: 'x', vector },
  ];
  await refused(two, 'ERR_ID_DUPLICATE');
  await expect(InvertedIndex.build(fresh(), two)).rejects.toThrow(/document 1 has the id "x" of document 0/);
  await refused([{ id: '\ud800', vector }], 'ERR_STRING_SURROGATE');
  await refused([{ id: 'x', vector: { '\udfff': 1 } }], 'ERR_STRING_SURROGATE');
  await refused([{ id: 5 as unknown as string, vector }], 'ERR_ARGUMENT_TYPE');
  await refused([{ id: 'x', vector: 'sea' as unknown as Weights }], 'ERR_ARGUMENT_TYPE');
  const outside = new SparseVector(Uint32Array.of(2), Float32Array.of(1), ['sea', 'ship']);
  await refused([{ id: 'x', vector: outside }], 'ERR_TERM_RANGE');
  const twice = new SparseVector(Uint32Array.of(0, 1), Float32Array.of(1, 1), ['sea', 'sea']);
  await refused([{ id: 'x', vector: twice }], 'ERR_TERM_DUPLICATE');
});

test('options outside their range are refused', async () => {
  const index = await InvertedIndex.build(fresh(), LIBRARY);
  for (const k of [0, -1, 1.5, Number.NaN, 2 ** 32]) {
    await expect(index.search({ sea: 1 }, { k })).rejects.toMatchObject({ code: 'ERR_OPTION_RANGE' });
  }
  await expect(index.search({ sea: 1 }, { k: 1, algorithm: 'fast' as SearchAlgorithm })).rejects.toMatchObject({
    code: 'ERR_OPTION_VALUE',
  });
  await expect(index.search({ sea: 1 }, { k: 1, limit: 3 } as never)).rejects.toMatchObject({
    code: 'ERR_OPTION_UNKNOWN',
  });
  for (const signal of [{}, null, 'stop']) {
    await expect(index.search({ sea: 1 }, { k: 1, signal: signal as never })).rejects.toMatchObject({
      code: 'ERR_OPTION_VALUE',
    });
  }
  expect(await index.search({ sea: 1 }, { k: 2 ** 32 - 1 })).toHaveLength(2);
  index.close();
});

test('queries come as a matrix, or any iterable of vectors; what is no vector is refused', async () => {
  const index = await InvertedIndex.build(fresh(), LIBRARY);
  const vocabulary = ['sea', 'ship'];
  const vectors = [0, 1].map((term) => new SparseVector(Uint32Array.of(term), Float32Array.of(1), vocabulary));
  const expected = await index.searchBatch(vectors, { k: 5 });
  expect(expected.map((hits) => hits.length)).toEqual([2, 2]);
  expect(await index.searchBatch(SparseMatrix.fromVectors(vectors, vocabulary), { k: 5 })).toEqual(expected);
  expect(await index.searchBatch(new Set(vectors), { k: 5 })).toEqual(expected);
  const refused = { code: 'ERR_ARGUMENT_TYPE' };
  await expect(index.searchBatch({ sea: 1 } as never, { k: 5 })).rejects.toMatchObject(refused);
  for (const query of [new Map([['sea', 1]]), ['sea'], new Set(['sea'])]) {
    await expect(index.search(query as never, { k: 5 })).rejects.toMatchObject(refused);
  }
  index.close();
});

test('a vocabulary may grow while its vectors are indexed and searched with', async () => {
  const vocabulary: string[] = [];
  const vectors = Array.from({ length: 20 }, (_, i) => () => {
    vocabulary.push(`term${i}`);
    return new SparseVector(Uint32Array.of(0, i + 1), Float32Array.of(1, 2), vocabulary);
  });
  vocabulary.push('all');
  function* documents() {
    for (const [i, vector] of vectors.entries()) yield { id: `d${i}`, vector: vector() };
  }
  const index = await InvertedIndex.build(fresh(), documents());
  expect(index.info).toMatchObject({ terms: 21, postings: 40 });
  const queries: string[] = [];
  for (let i = 0; i < 20; i++) {
    queries.push(`term${i}`);
    const query = new SparseVector(Uint32Array.of(i), Float32Array.of(1), queries);
    expect(await index.search(query, { k: 5 })).toEqual([{ id: `d${i}`, document: i, score: 2 }]);
    expect(await index.searchBatch([query], { k: 5 })).toEqual([[{ id: `d${i}`, document: i, score: 2 }]]);
  }
  index.close();
});

test('a query at fault is named by its number, and the term or document with it', async () => {
  const index = await InvertedIndex.build(fresh(), [...LIBRARY, { id: 'huge', vector: { sun: 3e38 } }]);
  const fine = Array.from({ length: 70 }, () => ({ sea: 1 }));
  const twice = new SparseVector(Uint32Array.of(0, 1), Float32Array.of(1, 1), ['sea', 'sea']);
  for (const [query, code, what] of [
    [{ sea: -1 }, 'ERR_WEIGHT_RANGE', /(QUERY) has weight -1 for term "sea"/],
    [twice, 'ERR_TERM_DUPLICATE', /(QUERY) has term "sea" twice/],
    [{ sun: 2 }, 'ERR_SCORE_RANGE', /score of (QUERY) with document "huge" is beyond the largest float32/],
  ] as const) {
    const message = (name: string) => new RegExp(what.source.replace('(QUERY)', name));
    await expect(index.search(query, { k: 1 })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message('the query')),
    });
    await expect(index.searchBatch([...fine, query, ...fine], { k: 1 })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message('query 70')),
    });
  }
  expect(await index.search({ sun: 1 }, { k: 1 })).toMatchObject([{ id: 'huge' }]);
  index.close();
});

test('products below the smallest float32 are 0, so that a document with no other is no hit', async () => {
  const index = await InvertedIndex.build(fresh(), [{ id: 'tiny', vector: { sea: 1e-30, ship: 1 } }]);
  expect(await index.search({ sea: 1e-30 }, { k: 1 })).toEqual([]);
  expect(await index.search({ sea: 1e-30, ship: 1 }, { k: 1 })).toEqual([{ id: 'tiny', document: 0, score: 1 }]);
  index.close();
});

test('strings beyond the entries of one JavaScript map are told apart', () => {
  const map = new LargeMap<number>(3);
  for (let i = 0; i < 10; i++) {
    expect(map.size).toBe(i);
    expect(map.get(`s${i}`)).toBeUndefined();
    map.add(`s${i}`, i);
  }
  for (let i = 0; i < 10; i++) expect(map.get(`s${i}`)).toBe(i);
});
