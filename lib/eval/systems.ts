import type { Hit, IndexBytes } from '../index/inverted-index';
import type { SparseMatrix } from '../sparse-matrix';
import type { Bm25Fields } from './bm25';
import type { DenseRows } from './exhaustive';

export interface EncodeCallbacks {
  signal?: AbortSignal;
  onProgress?(done: number, total: number | undefined): void;
}

/** A learned sparse encoder under a name. */
export interface SparseSystem {
  kind: 'sparse';
  name: string;
  /** One row a text, in order, at threshold 0. */
  encode(texts: readonly string[], kind: 'query' | 'document', callbacks?: EncodeCallbacks): Promise<SparseMatrix>;
}

/** A dense encoder under a name; its rows are compared by inner product, so cosine needs normalised rows. */
export interface DenseSystem {
  kind: 'dense';
  name: string;
  /** One row a text, in order. */
  encode(texts: readonly string[], kind: 'query' | 'document', callbacks?: EncodeCallbacks): Promise<DenseRows>;
}

/** The lexical baseline. */
export interface Bm25System {
  kind: 'bm25';
  name: string;
  fields: Bm25Fields;
}

export type System = SparseSystem | DenseSystem | Bm25System;

/** The baselines that are always at hand, by name. */
export const BM25_SYSTEMS: Readonly<Record<'bm25' | 'bm25-multifield', Bm25System>> = {
  bm25: { kind: 'bm25', name: 'bm25', fields: 'flat' },
  'bm25-multifield': { kind: 'bm25', name: 'bm25-multifield', fields: 'multifield' },
};

/** Exact search over sparse rows. */
export interface SparseSearcher {
  /** Bytes of the index on disk: the total and its parts. */
  readonly bytes: IndexBytes | { total: number; [part: string]: number };
  /** For each row the k documents of largest inner product above 0, ties by lower document number. */
  search(queries: SparseMatrix, k: number): Promise<Hit[][]>;
  close(): void | Promise<void>;
}

/** Builds an index of rows, whose ids stand in `ids`. */
export type SparseSearcherFactory = (documents: SparseMatrix, ids: readonly string[]) => Promise<SparseSearcher>;
