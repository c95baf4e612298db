import type { TokenBatch } from '../../text/tokenizer';

/** How training examples become steps. */
export interface BatchOptions {
  /** Q, queries of a step. */
  queries: number;
  /** N, documents of a query besides its positive. */
  negatives: number;
  /**
   * How many of the N are taken from those that the data gives, as far as it gives some: drawn anew each epoch where it gives
   * more. The others are drawn from the pool. N by default.
   */
  givenNegatives?: number;
  /** Decides the order, the subset and every draw; 0..2^32-1. */
  seed: number;
  /** Examples of an epoch, the same each time: some that `seed` chooses, or the first ones when not shuffled. By default all. */
  examples?: number;
  /** In the order of the data when false; true by default. */
  shuffle?: boolean;
  /** Examples that are too few for the last step of an epoch: left out, or filled up with the first ones of the epoch. */
  lastStep?: 'drop' | 'wrap';
  /** Tokens kept of a query and of a document, [CLS] and [SEP] included. */
  queryLength: number;
  documentLength: number;
}

/** Where a run stands, as JSON: together with the data and the options it decides all further steps. */
export interface BatchState {
  /** Epoch of the next step, from 0. */
  epoch: number;
  /** The next step within the epoch, from 0. */
  step: number;
  /** Of the data and the options that decide which texts are in a step. */
  fingerprint: string;
}

/**
 * A step: Q queries and D = Q (1 + N) documents. Those of query q are q (1 + N) up to q (1 + N) + N, its positive first.
 */
export interface Batch {
  /** From 0. */
  epoch: number;
  /** Within the epoch, from 0. */
  step: number;
  queries: TokenBatch;
  documents: TokenBatch;
  /** (Q) the positive document of each query. */
  positives: Int32Array;
  /** (D) the query that each document was chosen for. */
  owners: Int32Array;
  /** (D) the first document with the same text, which is the document itself where there is none before it. */
  duplicates: Int32Array;
  /** (E, 2) pairs of a query and a document known to answer it, or the query itself, that is not its positive here: no negative of that query. */
  excluded: Int32Array;
  /** (Q, D) a teacher's scores, NaN where there is none; absent where the data has none at all. */
  teacherScores?: Float32Array;
  /** The texts behind the tokens, and the number of each example. */
  texts: { queries: readonly string[]; documents: readonly string[]; examples: readonly number[] };
  /** Where the stream stands behind this step: what a checkpoint keeps. */
  next: BatchState;
}

/** The steps of a run, one after the other without an end: epoch follows epoch. */
export interface BatchStream {
  readonly stepsPerEpoch: number;
  /** The next step; the one behind it is prepared meanwhile. */
  next(): Promise<Batch>;
  /** Ends the stream, once what is being prepared is done. The source stays open. */
  close(): Promise<void>;
}
