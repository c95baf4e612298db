import { checkArray, checkInteger, checkObject } from '../../check';

/** A text of the training data. */
export interface TrainingText {
  text: string;
  /**
   * 32 bits that equal texts of a source share: a hash of the id where texts have ids, of the text where they have none.
   * Different texts share them so seldom that it does no harm where they are used, to keep relevant documents out.
   */
  key: number;
  /** Absent where the data has none. */
  id?: string;
}

/** One training example: a query, a document that answers it, and documents that do not. */
export interface TrainingExample {
  query: TrainingText;
  positive: TrainingText;
  /** Those that the data gives, in its order; often none. */
  negatives: TrainingText[];
  /** A teacher's score of the positive and of each negative, if the data has them. */
  scores?: Float32Array;
}

/** Documents that random negatives are drawn from. */
export interface DocumentPool {
  readonly size: number;
  /** The documents of these numbers, each in 0..size-1, in the order asked. */
  documents(numbers: readonly number[]): Promise<TrainingText[]>;
  /** The number of the document with an id, -1 when there is none; absent where documents have no ids. */
  find?(id: string): number;
}

/**
 * Training data on the disk, read when needed: an example costs no memory before it is asked for.
 *
 * Examples are numbered in the order of the data. Every line has been checked when a source is open.
 */
export interface PairSource {
  /** What messages call it: its path or paths. */
  readonly name: string;
  /** Number of examples. */
  readonly size: number;
  /** Hash of the content of its files: the same examples under the same numbers. */
  readonly fingerprint: string;
  /** What random negatives are drawn from: the corpus, or the positives of the examples where there is none. */
  readonly pool: DocumentPool;
  /** Whether an example has scores of a teacher. */
  readonly scored: boolean;
  /** What a person should know about the data, a sentence each: what was left out, and why. */
  readonly notes: readonly string[];

  /**
   * The examples of these numbers, each in 0..size-1, in the order asked.
   *
   * Throws `ERR_DATA_CHANGED` when a file is not what it was when it was opened.
   */
  examples(numbers: readonly number[]): Promise<TrainingExample[]>;

  /** Whether a document is known to answer a query, both given by key. May say so of another pair, one in millions. */
  isPositive(query: number, document: number): boolean;

  /**
   * Numbers of the examples whose query satisfies `matches`, ascending. Queries that have ids are asked about once each, also
   * those without an example.
   */
  findByQuery(matches: (query: string) => boolean, options?: { signal?: AbortSignal }): Promise<Float64Array>;

  close(): Promise<void>;
}

/** Throws `ERR_ARGUMENT_TYPE` for what `openPairs` does not give. */
export function checkSource(source: PairSource): PairSource {
  const members = ['name', 'size', 'fingerprint', 'pool', 'notes', 'examples', 'isPositive', 'findByQuery', 'close'];
  return checkObject('source', source, 'training data, as openPairs gives', members);
}

/** Throws `ERR_ARGUMENT_TYPE` or `ERR_OPTION_RANGE` for what are no numbers of so many examples or documents. */
export function checkNumbers(numbers: readonly number[], size: number): readonly number[] {
  for (const number of checkArray('numbers', numbers, 'integers')) checkInteger('a number', number, 0, size - 1);
  return numbers;
}

/** Throws `ERR_ARGUMENT_TYPE` for what is no pool of a source. */
export function checkPool(pool: DocumentPool): DocumentPool {
  return checkObject('pool', pool, 'the pool of training data that is open', ['size', 'documents']);
}
