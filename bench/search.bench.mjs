// Search over a synthetic collection: builds an index, opens it, and times single queries and batches.
//
//   npm run build
//   node bench/search.bench.mjs [--documents 1000000] [--json FILE] [--folder DIR]
//
// Generator (seed 1): 30,522 terms, the term of rank r with probability proportional to 1 / (r + 50); a document has 139
// distinct ones, a query 16 (seed 2), weights 0.01 + an exponential of mean 0.5. The most frequent term is then in about
// 35% of the documents and a query shares about one term with every document on average, as learned vectors do.
// --folder keeps the index there and uses it again.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const require = createRequire(import.meta.url);
const { InvertedIndex, SparseVector } = require('../dist/index.js');

const { values: options } = parseArgs({
  options: {
    documents: { type: 'string', default: '1000000' },
    json: { type: 'string' },
    folder: { type: 'string' },
  },
});
const DOCUMENTS = Number(options.documents);
const VOCABULARY = Array.from({ length: 30_522 }, (_, rank) => `term${rank}`);
const DOCUMENT_TERMS = 139;
const QUERY_TERMS = 16;
const QUERIES = 200;
const SHIFT = 50;

/** xorshift32 in [0, 1). */
function generator(seed) {
  let state = (seed * 0x9e3779b1) | 0;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Vectors of `count` distinct terms each. */
function* vectors(rows, count, seed) {
  const next = generator(seed);
  const logRange = Math.log((VOCABULARY.length + SHIFT) / SHIFT);
  const lastRow = new Int32Array(VOCABULARY.length).fill(-1);
  for (let row = 0; row < rows; row++) {
    const terms = new Uint32Array(count);
    for (let n = 0; n < count; ) {
      const term = Math.min(VOCABULARY.length - 1, Math.floor(SHIFT * (Math.exp(logRange * next()) - 1)));
      if (lastRow[term] === row) continue;
      lastRow[term] = row;
      terms[n++] = term;
    }
    terms.sort();
    yield new SparseVector(
      terms,
      Float32Array.from(terms, () => 0.01 - 0.5 * Math.log(1 - next())),
      VOCABULARY,
    );
  }
}

function* documents() {
  let i = 0;
  for (const vector of vectors(DOCUMENTS, DOCUMENT_TERMS, 1)) yield { id: `document-${i++}`, vector };
}

function summary(times) {
  const sorted = Float64Array.from(times).sort();
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  return { median: at(0.5), p90: at(0.9), p99: at(0.99), runs: sorted.length };
}

async function seconds(work) {
  const start = performance.now();
  const result = await work();
  return [(performance.now() - start) / 1000, result];
}

const temporary = options.folder === undefined ? mkdtempSync(join(tmpdir(), 'fles-bench-')) : undefined;
const directory = options.folder ?? join(temporary, 'index');
const report = {
  machine: `${cpus()[0]?.model.trim()}, ${cpus().length} processors`,
  node: process.version,
  documents: DOCUMENTS,
  documentTerms: DOCUMENT_TERMS,
  queryTerms: QUERY_TERMS,
};
const print = (line) => console.error(line);
try {
  if (!existsSync(join(directory, 'index.fles'))) {
    const [generating] = await seconds(() => {
      for (const _ of vectors(DOCUMENTS, DOCUMENT_TERMS, 1));
    });
    const [building, index] = await seconds(() => InvertedIndex.build(directory, documents()));
    index.close();
    // The generator's own time is taken off; building includes the sync to the disk and the check at opening.
    report.buildSeconds = building - generating;
    print(`build ${report.buildSeconds.toFixed(1)} s`);
  }
  const [opening, index] = await seconds(() => InvertedIndex.open(directory));
  report.openSeconds = opening;
  report.info = index.info;
  print(
    `open ${opening.toFixed(2)} s, ${(index.info.bytes.total / 1e6).toFixed(1)} MB, ` +
      `${index.info.bytesPerPosting.toFixed(3)} bytes a posting`,
  );

  const queries = [...vectors(QUERIES, QUERY_TERMS, 2)];
  report.milliseconds = {};
  for (const [algorithm, k, rounds] of [
    ['block_accumulation', 10, 5],
    ['block_accumulation', 100, 5],
    ['block_accumulation', 1000, 5],
    ['exhaustive', 10, 0.2],
  ]) {
    const times = [];
    const runs = Math.round(rounds * QUERIES);
    for (let i = -10; i < runs; i++) {
      const query = queries[(i + QUERIES) % QUERIES];
      const [time] = await seconds(() => index.search(query, { k, algorithm }));
      if (i >= 0) times.push(1000 * time);
    }
    const result = summary(times);
    report.milliseconds[`${algorithm} k=${k}`] = result;
    print(`search/${algorithm} k=${k}: median ${result.median.toFixed(2)} ms, p99 ${result.p99.toFixed(2)} ms`);
  }
  const batch = Array.from({ length: 5 }, () => queries).flat();
  const [time] = await seconds(() => index.searchBatch(batch, { k: 10 }));
  report.batchQueriesPerSecond = batch.length / time;
  print(`searchBatch k=10: ${report.batchQueriesPerSecond.toFixed(0)} queries/s`);
  index.close();
} finally {
  if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true });
}
const json = `${JSON.stringify(report, null, 2)}\n`;
if (options.json === undefined) process.stdout.write(json);
else writeFileSync(options.json, json);
