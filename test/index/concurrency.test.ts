import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { InvertedIndex } from '../../lib/index/inverted-index';
import { random, type Weights } from './brute-force';
import { temporaryFolder } from './temporary';

const { fresh } = temporaryFolder();
const compiled = join(__dirname, '../../dist/index/inverted-index.js');
const needsBuild = existsSync(compiled) ? '' : ' (skipped: needs "npm run build:lib")';

function collection(documents: number): { id: string; vector: Weights }[] {
  const next = random(5);
  return Array.from({ length: documents }, (_, i) => {
    const vector: Weights = {};
    for (let n = 0; n < 8; n++) vector[`t${Math.floor(200 * next() ** 2)}`] = 0.1 + next();
    return { id: `d${i}`, vector };
  });
}
const documents = collection(20_000);
const queries = documents.slice(0, 300).map(({ vector }) => vector);

test('searches that overlap give what they give alone', async () => {
  const index = await InvertedIndex.build(fresh(), documents);
  const alone = [];
  for (const query of queries.slice(0, 60)) alone.push(await index.search(query, { k: 20 }));
  const together = await Promise.all(queries.slice(0, 60).map((query) => index.search(query, { k: 20 })));
  expect(together).toEqual(alone);
  index.close();
});

test('a batch gives the hits of its queries in their order', async () => {
  const index = await InvertedIndex.build(fresh(), documents);
  const batch = await index.searchBatch(queries, { k: 5 });
  const alone = await Promise.all(queries.map((query) => index.search(query, { k: 5 })));
  expect(batch).toEqual(alone);
  expect(await index.searchBatch([], { k: 5 })).toEqual([]);
  const broken = [...queries, { t1: -1 }, ...queries];
  await expect(index.searchBatch(broken, { k: 5 })).rejects.toMatchObject({ code: 'ERR_WEIGHT_RANGE' });
  index.close();
});

test('closing lets searches under way end and refuses later ones', async () => {
  const index = await InvertedIndex.build(fresh(), documents);
  const expected = await index.searchBatch(queries, { k: 50 });
  const underWay = queries.map((query) => index.search(query, { k: 50 }));
  index.close();
  index.close();
  expect(await Promise.all(underWay)).toEqual(expected);
  await expect(index.search({ t1: 1 }, { k: 1 })).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
  expect(index.info.documents).toBe(20_000);
});

test('closing lets a batch under way end, however many queries it has still to begin', async () => {
  const index = await InvertedIndex.build(fresh(), documents);
  const expected = await index.searchBatch(queries, { k: 5 });
  const many = Array.from({ length: 10 }, () => queries).flat();
  const underWay = index.searchBatch(many, { k: 5 });
  const failing = index.searchBatch([...many, { t1: -1 }], { k: 5 });
  index.close();
  await expect(index.searchBatch(queries, { k: 5 })).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
  await expect(failing).rejects.toMatchObject({ code: 'ERR_WEIGHT_RANGE' });
  expect(await underWay).toEqual(Array.from({ length: 10 }, () => expected).flat());
  await expect(index.search({ t1: 1 }, { k: 1 })).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
});

test.skipIf(!existsSync('/proc/self/maps'))('the file is unmapped once the last batch has ended', async () => {
  const directory = fresh();
  const index = await InvertedIndex.build(directory, documents);
  const isMapped = () => readFileSync('/proc/self/maps', 'utf8').includes(directory);
  const underWay = index.searchBatch(queries, { k: 5 });
  index.close();
  expect(isMapped()).toBe(true);
  await underWay;
  await expect.poll(isMapped).toBe(false);
});

test('a batch is of the queries that its list held at the call', async () => {
  const index = await InvertedIndex.build(fresh(), documents);
  const expected = await index.searchBatch(queries, { k: 5 });
  const list = [...queries];
  const batch = index.searchBatch(list, { k: 5 });
  list.length = 0;
  expect(await batch).toEqual(expected);
  const other = [...queries];
  const again = index.searchBatch(other, { k: 5 });
  other.fill({ t1: 1 });
  expect(await again).toEqual(expected);
  index.close();
});

test('an aborted search rejects with the reason of the signal', async () => {
  const index = await InvertedIndex.build(fresh(), documents);
  await expect(index.search({ t1: 1 }, { k: 1, signal: AbortSignal.abort() })).rejects.toMatchObject({
    name: 'AbortError',
  });
  const controller = new AbortController();
  const many = Array.from({ length: 20 }, () => queries).flat();
  const search = index.searchBatch(many, { k: 1000, algorithm: 'exhaustive', signal: controller.signal });
  setTimeout(() => controller.abort(new Error('enough')), 5);
  await expect(search).rejects.toThrow('enough');
  expect(await index.search(queries[0]!, { k: 1 })).toHaveLength(1);
  index.close();
});

test('an index replaced while it is open goes on giving its own hits', async () => {
  const directory = fresh();
  const old = await InvertedIndex.build(directory, documents);
  const before = await old.searchBatch(queries, { k: 10 });
  const replacement = await InvertedIndex.build(directory, [{ id: 'only', vector: { t1: 1 } }]);
  expect(await old.searchBatch(queries, { k: 10 })).toEqual(before);
  expect(replacement.info.documents).toBe(1);
  old.close();
  replacement.close();
});

test.skipIf(needsBuild !== '')(`worker threads search, and may end while they do${needsBuild}`, async () => {
  const directory = fresh();
  const index = await InvertedIndex.build(directory, documents);
  const expected = await index.searchBatch(queries, { k: 10 });
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { InvertedIndex } = require(workerData.compiled);
    (async () => {
      const index = await InvertedIndex.open(workerData.directory);
      parentPort.postMessage(await index.searchBatch(workerData.queries, { k: 10 }));
      while (true) await index.searchBatch(workerData.queries, { k: 10 }); // until it is terminated
    })();`;
  const workers = [1, 2].map(() => new Worker(code, { eval: true, workerData: { compiled, directory, queries } }));
  try {
    const answers = await Promise.all(
      workers.map((worker) => new Promise((done, failed) => worker.once('message', done).once('error', failed))),
    );
    for (const answer of answers) expect(answer).toEqual(expected);
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  expect(await index.searchBatch(queries, { k: 10 })).toEqual(expected);
  index.close();
});
