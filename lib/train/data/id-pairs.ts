import { createHash } from 'node:crypto';
import { checkCallable, checkKeys } from '../../check';
import { combine } from './hash';
import type { HashSet } from './hash-set';
import type { ScanOptions } from './line-file';
import { checkNumbers, type PairSource, type TrainingExample } from './pair-source';
import type { TextStore } from './text-store';

/** An example as numbers of texts. */
export interface IdRow {
  query: number;
  /** The positive first. */
  documents: number[];
  /** A teacher's, of each document. */
  scores?: Float32Array;
}

/** Examples as numbers of texts. */
export interface IdRows {
  readonly name: string;
  readonly size: number;
  readonly fingerprint: string;
  readonly notes: readonly string[];
  readonly scored: boolean;
  /** The rows asked, in that order. */
  read(rows: readonly number[]): Promise<IdRow[]>;
  /** The rows of some queries, given by id, ascending. */
  findByQuery(ids: ReadonlySet<string>, options: ScanOptions): Promise<Float64Array>;
  close(): Promise<void>;
}

/** Examples that name their texts by id; queries and documents stand in files of their own. */
export class IdPairs implements PairSource {
  readonly name: string;
  readonly fingerprint: string;
  readonly notes: readonly string[];
  readonly scored: boolean;
  readonly #rows: IdRows;
  readonly #queries: TextStore;
  readonly pool: TextStore;
  readonly #positives: HashSet;

  /** `positives` holds the pairs of the keys of a query and of a document that answers it, combined. */
  constructor(rows: IdRows, queries: TextStore, documents: TextStore, positives: HashSet) {
    this.name = rows.name;
    this.notes = rows.notes;
    this.scored = rows.scored;
    this.#rows = rows;
    this.#queries = queries;
    this.pool = documents;
    this.#positives = positives;
    this.fingerprint = createHash('sha256')
      .update([rows, queries, documents].map(({ fingerprint }) => fingerprint).join())
      .digest('hex');
  }

  get size(): number {
    return this.#rows.size;
  }

  async examples(numbers: readonly number[]): Promise<TrainingExample[]> {
    const rows = await this.#rows.read(checkNumbers(numbers, this.size));
    const [queries, documents] = await Promise.all([
      this.#queries.documents(rows.map(({ query }) => query)),
      this.pool.documents(rows.flatMap((row) => row.documents)),
    ]);
    let next = 0;
    return rows.map((row, i) => {
      const [positive, ...negatives] = documents.slice(next, next + row.documents.length);
      next += row.documents.length;
      const texts = { query: queries[i]!, positive: positive!, negatives };
      return row.scores ? { ...texts, scores: row.scores } : texts;
    });
  }

  isPositive(query: number, document: number): boolean {
    return this.#positives.has(combine(query, document));
  }

  async findByQuery(matches: (query: string) => boolean, options: ScanOptions = {}): Promise<Float64Array> {
    checkCallable('matches', matches);
    checkKeys(options, ['signal', 'onProgress']);
    const ids = new Set<string>();
    await this.#queries.visit(({ id, text }) => {
      if (matches(text)) ids.add(id);
    }, options);
    return ids.size === 0 ? new Float64Array() : this.#rows.findByQuery(ids, options);
  }

  async close(): Promise<void> {
    await Promise.all([this.#rows.close(), this.#queries.close(), this.pool.close()]);
  }
}
