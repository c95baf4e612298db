import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { checkInteger, checkKeys, checkMap, checkObject, checkString } from '../../check';
import type { EncodeOptions, FLES1Encoder } from '../../encode/encoder';
import { FlesError, throwIfAborted } from '../../errors';
import { Bm25Index } from '../../eval/bm25';
import { searchDense } from '../../eval/exhaustive';
import { type Run, rank } from '../../eval/ranking';
import { hashTextAgain } from './hash';
import type { FoundDocument, Search } from './mine';
import { checkPool, type DocumentPool, type TrainingText } from './pair-source';

export interface MineSearchOptions {
  /** Documents found for a query, at most. */
  k: number;
  signal?: AbortSignal;
  /** Documents of the pool that are indexed so far. */
  onProgress?(documents: number, total: number): void;
}

/** A search that is ready, and what it holds on to. */
export interface OpenSearch {
  search: Search;
  close(): Promise<void>;
}

const DOCUMENTS_A_READ = 512;

/** BM25 (Lucene's, see `Bm25Index`) over a pool, in memory: 12 bytes a posting. */
export async function bm25Search(pool: DocumentPool, options: MineSearchOptions): Promise<OpenSearch> {
  const { k, signal, onProgress } = checkOptions(pool, options);
  async function* documents() {
    for await (const { number, text } of distinct(pool, onProgress)) yield { id: String(number), title: '', text };
  }
  const index = await Bm25Index.build(documents(), { signal });
  const search = async (queries: readonly TrainingText[]) => {
    const found: FoundDocument[][] = [];
    for (const { text } of queries) {
      throwIfAborted(signal);
      found.push(foundOf(index.search(text, k)));
      await setImmediate();
    }
    return found;
  };
  return { search, close: async () => {} };
}

/** A learned encoder over a pool, by exact search: an inverted index in a folder under `directory`, or dense rows in memory. */
export async function encoderSearch(
  pool: DocumentPool,
  encoder: FLES1Encoder,
  settings: EncodeOptions,
  directory: string,
  options: MineSearchOptions,
): Promise<OpenSearch> {
  checkOptions(pool, options);
  checkObject('encoder', encoder, 'an encoder that is loaded', ['mode', 'encodeStream', 'encodeBatch', 'encodeDense']);
  if (encoder.mode === 'dense') return denseSearch(pool, encoder, settings, options);
  const { k, signal, onProgress } = options;
  checkString('the directory', directory);
  const { InvertedIndex } = await import('../../index/inverted-index.js');
  const folder = await mkdtemp(join(directory, '.index-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  async function* vectors() {
    const numbers: number[] = [];
    async function* texts() {
      for await (const { number, text } of distinct(pool, onProgress)) {
        numbers.push(number);
        yield text;
      }
    }
    const encoding = encoder.encodeStream(texts(), { ...settings, kind: 'document', signal });
    for await (const vector of encoding) yield { id: String(numbers.shift()), vector };
  }
  try {
    const index = await InvertedIndex.build(folder, vectors(), { signal });
    const search = async (queries: readonly TrainingText[]) => {
      const texts = queries.map(({ text }) => text);
      const rows = await encoder.encodeBatch(texts, { ...settings, kind: 'query', signal });
      return (await index.searchBatch([...rows], { k, signal })).map(foundOf);
    };
    const close = () => {
      index.close();
      return remove();
    };
    return { search, close };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function denseSearch(
  pool: DocumentPool,
  encoder: FLES1Encoder,
  settings: EncodeOptions,
  { k, signal, onProgress }: MineSearchOptions,
): Promise<OpenSearch> {
  const ids: string[] = [];
  const parts: Float32Array[] = [];
  let columns = 0;
  let texts: string[] = [];
  const encode = async () => {
    const matrix = await encoder.encodeDense(texts, { ...settings, kind: 'document', signal });
    parts.push(matrix.values);
    columns = matrix.columns;
    texts = [];
  };
  for await (const { number, text } of distinct(pool, onProgress)) {
    ids.push(String(number));
    if (texts.push(text) === DOCUMENTS_A_READ) await encode();
  }
  if (texts.length > 0) await encode();
  const values = new Float32Array(ids.length * columns);
  for (let at = 0, part = parts.shift(); part; at += part.length, part = parts.shift()) values.set(part, at);
  const search = async (queries: readonly TrainingText[]) => {
    const queryTexts = queries.map(({ text }) => text);
    const rows = await encoder.encodeDense(queryTexts, { ...settings, kind: 'query', signal });
    return (await searchDense({ rows: ids.length, columns, values }, ids, rows, { k, signal })).map(foundOf);
  };
  return { search, close: async () => {} };
}

/**
 * What a run found, ranked as trec_eval ranks it.
 *
 * Throws `ERR_DATA_IDS` when the pool has no ids, and in the search `ERR_DOCUMENT_NOT_FOUND` for a document that is not in it.
 */
export function runSearch(pool: DocumentPool, run: Run, name: string, options: MineSearchOptions): OpenSearch {
  const { k, signal } = checkOptions(pool, options);
  checkMap('run', run, 'documents by query id, as readRun gives');
  checkString('the name of the run', name);
  if (!pool.find) {
    throw new FlesError(
      'ERR_DATA_IDS',
      `the documents of the training data have no ids, which ${name} names them by; expected one folder in BEIR's layout, or triples of ids`,
    );
  }
  const numberOf = (id: string) => {
    const document = pool.find!(id);
    if (document >= 0) return document;
    throw new FlesError(
      'ERR_DOCUMENT_NOT_FOUND',
      `${name} names the document ${JSON.stringify(id)}, which the corpus lacks; use the run of a search in it`,
    );
  };
  const search = async (queries: readonly TrainingText[]) => {
    throwIfAborted(signal);
    return queries.map(({ id }) =>
      rank(run.get(id ?? '') ?? [])
        .slice(0, k)
        .map(({ document, score }) => ({ document: numberOf(document), score })),
    );
  };
  return { search, close: async () => {} };
}

function checkOptions(pool: DocumentPool, options: MineSearchOptions): MineSearchOptions {
  checkPool(pool);
  checkKeys(options, ['k', 'signal', 'onProgress']);
  checkInteger('k', options.k, 1, 2 ** 31 - 1);
  return options;
}

function foundOf(hits: readonly { id: string; score: number }[]): FoundDocument[] {
  return hits.map(({ id, score }) => ({ document: Number(id), score }));
}

/** The documents of a pool with their numbers; of those without ids, which may be many times the same, each text once. */
async function* distinct(
  pool: DocumentPool,
  onProgress: MineSearchOptions['onProgress'],
): AsyncGenerator<TrainingText & { number: number }> {
  // 53 bits of hash: two of ten million texts share them with a chance of one in a hundred.
  const seen = new Set<number>();
  for (let begin = 0; begin < pool.size; begin += DOCUMENTS_A_READ) {
    const numbers = Array.from({ length: Math.min(DOCUMENTS_A_READ, pool.size - begin) }, (_, i) => begin + i);
    for (const [i, document] of (await pool.documents(numbers)).entries()) {
      if (document.id === undefined) {
        const hash = document.key * 2 ** 21 + (hashTextAgain(document.text) >>> 11);
        if (seen.has(hash)) continue;
        seen.add(hash);
      }
      yield { ...document, number: numbers[i]! };
    }
    onProgress?.(begin + numbers.length, pool.size);
  }
}
