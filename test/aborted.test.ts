import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as fles from '../lib';

const model = join(__dirname, 'fixtures/models/bert-odd');
const library = join(__dirname, '../examples/library');
const folder = mkdtempSync(join(tmpdir(), 'fles-aborted-'));
const reason = new Error('enough');
const signal = AbortSignal.abort(reason);

async function all(values: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of values);
}

let encoder: fles.FLES1Encoder;
let bag: fles.FLES1Encoder;
let dense: fles.FLES1Encoder;
let tokenizer: fles.Tokenizer;
let index: fles.InvertedIndex;
let source: fles.PairSource;
let dataset: fles.BeirDataset;

beforeAll(async () => {
  encoder = await fles.FLES1Encoder.fromPretrained(model);
  bag = await fles.FLES1Encoder.fromPretrained(model, { queryKind: 'bag' });
  dense = await fles.FLES1Encoder.fromPretrained(model, { mode: 'dense' });
  tokenizer = await fles.Tokenizer.load(model);
  index = await fles.InvertedIndex.build(join(folder, 'index'), [{ id: 'a', vector: { red: 1 } }]);
  source = await fles.openPairs(library, { split: 'test' });
  dataset = await fles.readBeir(library, 'test');
});
afterAll(async () => {
  for (const loaded of [encoder, bag, dense]) loaded.dispose();
  index.close();
  await source.close();
  rmSync(folder, { recursive: true });
});

const rows = { rows: 1, columns: 1, values: new Float32Array(1) };
const mined: fles.MineOptions = { count: 1, from: 1, to: 2, draw: 'first', seed: 0 };
const batches: fles.BatchOptions = { queries: 1, negatives: 1, seed: 1, queryLength: 4, documentLength: 4 };
const testSet: fles.TestSet = { name: 't', queries: new Map() };

/** Every call that takes a signal, with nothing to do where that can be. */
const CALLS: Record<string, () => Promise<unknown>> = {
  fromPretrained: () => fles.FLES1Encoder.fromPretrained(model, { signal }),
  resolveModel: () => fles.resolveModel(model, { signal }),
  encode: () => encoder.encode('red', { signal }),
  'encodeBatch of no texts': () => encoder.encodeBatch([], { signal }),
  'encodeBatch of bags': () => bag.encodeBatch([], { signal, kind: 'query' }),
  encodeStream: () => all(encoder.encodeStream([], { signal })),
  encodeDense: () => dense.encodeDense([], { signal }),
  'Tokenizer.encodeBatch': () => tokenizer.encodeBatch([], { signal }),
  wordPieces: () => tokenizer.wordPieces('', { signal }),
  build: () => fles.InvertedIndex.build(join(folder, 'other'), [], { signal }),
  search: () => index.search({}, { k: 1, signal }),
  searchBatch: () => index.searchBatch([], { k: 1, signal }),
  readQrels: () => fles.readQrels(join(library, 'qrels/test.tsv'), { signal }),
  readRun: () => fles.readRun(join(library, 'qrels/test.tsv'), { signal }),
  readTexts: () => all(fles.readTexts(join(library, 'corpus.jsonl'), { signal })),
  documents: () => all(dataset.documents({ signal })),
  searchDense: () => fles.searchDense(rows, ['a'], { ...rows, rows: 0, values: new Float32Array(0) }, { k: 1, signal }),
  'Bm25Index.build': () => fles.Bm25Index.build([], { signal }),
  compare: () => all(fles.compare(dataset, [], { signal })),
  writeComparison: () => fles.writeComparison(join(folder, 'report'), dataset, [], { signal }),
  openPairs: () => fles.openPairs(library, { split: 'test', signal }),
  streamBatches: () => fles.streamBatches(source, tokenizer, batches, { signal }).next(),
  findByQuery: () => source.findByQuery(() => true, { signal }),
  findLeaks: () => fles.findLeaks(source, testSet, { signal }),
  guardAgainstLeaks: () => fles.guardAgainstLeaks(source, testSet, 'drop', { signal }),
  mineNegatives: () => all(fles.mineNegatives(source, async () => [], mined, signal)),
  bm25Search: () => fles.bm25Search(source.pool, { k: 1, signal }),
  encoderSearch: () => fles.encoderSearch(source.pool, encoder, {}, folder, { k: 1, signal }),
  runSearch: () => fles.runSearch(source.pool, new Map(), 'a run', { k: 1, signal }).search([]),
  'Trainer.run': () => {
    const config = { model, data: { paths: [library], split: 'test' }, output: join(folder, 'trained') };
    return new fles.Trainer(config).run({ signal });
  },
};

test.each(Object.keys(CALLS))('%s rejects with the reason of a signal that was aborted before', async (name) => {
  await expect(CALLS[name]!()).rejects.toBe(reason);
});
