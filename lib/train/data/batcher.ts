import { createHash } from 'node:crypto';
import { checkBoolean, checkChoice, checkInteger, checkKeys, checkObject, show } from '../../check';
import { FlesError } from '../../errors';
import type { TokenBatch, TokenizeOptions } from '../../text/tokenizer';
import type { Batch, BatchOptions, BatchState, BatchStream } from './batch';
import { checkSource, type PairSource } from './pair-source';
import { MOST_EXAMPLES, Permutation } from './permutation';
import { type Candidates, chooseNegatives } from './sampler';

/** What a stream needs of a tokenizer. */
export interface BatchTokenizer {
  encodeBatch(texts: readonly string[], options?: TokenizeOptions): Promise<TokenBatch>;
}

export interface StreamOptions {
  /** Where to go on: the `next` of the last step that was done. From the first step by default. */
  state?: BatchState;
  signal?: AbortSignal;
}

/** What the words of an order begin with: the choice of the subset, and the order within an epoch. */
const SUBSET = 1;
const EPOCH = 2;

const KNOWN = [
  'queries',
  'negatives',
  'givenNegatives',
  'seed',
  'examples',
  'shuffle',
  'lastStep',
  'queryLength',
  'documentLength',
] as const satisfies (keyof BatchOptions)[];

/**
 * Makes steps of a source. A step follows from the source, the options, its epoch and its number alone, so that a run that
 * goes on from a `BatchState` has exactly the steps of one that never stopped.
 *
 * Throws `ERR_OPTION_UNKNOWN`, `ERR_OPTION_RANGE`, `ERR_OPTION_VALUE`, `ERR_DATA_EXHAUSTED` when the source has fewer examples than
 * an epoch or a step takes, and `ERR_RESUME_MISMATCH` for the state of another run.
 */
export function streamBatches(
  source: PairSource,
  tokenizer: BatchTokenizer,
  options: BatchOptions,
  stream: StreamOptions = {},
): BatchStream {
  checkSource(source);
  checkObject('tokenizer', tokenizer, 'a Tokenizer', ['encodeBatch']);
  checkKeys(stream, ['state', 'signal']);
  const { state, signal } = stream;
  if (state !== undefined) checkObject('state', state, 'the next of a step', ['epoch', 'step', 'fingerprint']);
  return new Stream(new Batcher(source, options), tokenizer, state, signal);
}

class Stream implements BatchStream {
  readonly stepsPerEpoch: number;
  /** The next step to be prepared. */
  #place: { epoch: number; step: number };
  #waiting: Promise<Batch> | undefined;

  constructor(
    private readonly batcher: Batcher,
    private readonly tokenizer: BatchTokenizer,
    state: BatchState | undefined,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.stepsPerEpoch = batcher.stepsPerEpoch;
    this.#place = state === undefined ? { epoch: 0, step: 0 } : batcher.checkState(state);
  }

  async next(): Promise<Batch> {
    this.signal?.throwIfAborted();
    const batch = this.#waiting ?? this.#prepare();
    this.#waiting = batch.then(() => this.#prepare());
    // What goes wrong shows when it is asked for.
    this.#waiting.catch(() => {});
    return batch;
  }

  async close(): Promise<void> {
    await this.#waiting?.catch(() => {});
    this.#waiting = undefined;
  }

  async #prepare(): Promise<Batch> {
    const { batcher, tokenizer, signal } = this;
    const { epoch, step } = this.#place;
    const next = batcher.stateAfter(epoch, step);
    this.#place = next;
    const { candidates, examples } = await batcher.step(epoch, step);
    const { queryLength, documentLength } = batcher.options;
    const texts = {
      queries: candidates.map(({ query }) => query.text),
      documents: candidates.flatMap(({ documents }) => documents.map(({ text }) => text)),
      examples,
    };
    const queries = await tokenizer.encodeBatch(texts.queries, { maxLength: queryLength, signal });
    const documents = await tokenizer.encodeBatch(texts.documents, { maxLength: documentLength, signal });
    return {
      epoch,
      step,
      queries,
      documents,
      ...relations(batcher.source, candidates),
      texts,
      next,
    };
  }
}

/** The order of a run: which examples a step has, and which negatives they get. */
class Batcher {
  readonly stepsPerEpoch: number;
  readonly options: Required<BatchOptions>;
  readonly #subset: Permutation;
  readonly #fingerprint: string;

  constructor(
    readonly source: PairSource,
    options: BatchOptions,
  ) {
    checkOptions(options);
    this.options = {
      ...options,
      givenNegatives: options.givenNegatives ?? options.negatives,
      examples: options.examples ?? source.size,
      shuffle: options.shuffle ?? true,
      lastStep: options.lastStep ?? 'drop',
    };
    const { queries, examples, seed, lastStep } = this.options;
    checkSize(source, examples, queries);
    this.stepsPerEpoch = Math[lastStep === 'drop' ? 'floor' : 'ceil'](examples / queries);
    this.#subset = new Permutation(source.size, [SUBSET, seed]);
    this.#fingerprint = createHash('sha256')
      .update(JSON.stringify([source.fingerprint, KNOWN.map((name) => this.options[name])]))
      .digest('hex')
      .slice(0, 32);
  }

  /** The texts of a step, and the numbers of its examples. */
  async step(epoch: number, step: number): Promise<{ candidates: Candidates[]; examples: number[] }> {
    const { queries, negatives, givenNegatives, examples: size, seed } = this.options;
    const order = new Permutation(size, [EPOCH, seed, epoch]);
    const places = Array.from({ length: queries }, (_, i) => (step * queries + i) % size);
    const examples = places.map((place) => this.#exampleAt(place, order));
    const candidates = await chooseNegatives(
      this.source,
      await this.source.examples(examples),
      places.map((place) => [seed, epoch, place]),
      { negatives, given: givenNegatives },
    );
    return { candidates, examples };
  }

  stateAfter(epoch: number, step: number): BatchState {
    const isLast = step + 1 === this.stepsPerEpoch;
    return { epoch: isLast ? epoch + 1 : epoch, step: isLast ? 0 : step + 1, fingerprint: this.#fingerprint };
  }

  checkState(state: BatchState): BatchState {
    if (state.fingerprint !== this.#fingerprint) {
      throw new FlesError(
        'ERR_RESUME_MISMATCH',
        `the run to go on with has training data or batch options of the fingerprint ${show(state.fingerprint)}, now it is ${this.#fingerprint}; use the same data and options, or start anew`,
      );
    }
    checkInteger('epoch of the state', state.epoch, 0, MOST_EXAMPLES);
    checkInteger('step of the state', state.step, 0, this.stepsPerEpoch - 1);
    return state;
  }

  #exampleAt(place: number, order: Permutation): number {
    const { shuffle, examples } = this.options;
    if (!shuffle) return place;
    return examples === this.source.size ? order.at(place) : this.#subset.at(order.at(place));
  }
}

/** How the queries and documents of a step stand to one another: the arrays of `Batch`. */
function relations(
  source: PairSource,
  candidates: readonly Candidates[],
): Pick<Batch, 'positives' | 'owners' | 'duplicates' | 'excluded' | 'teacherScores'> {
  const width = candidates[0]!.documents.length;
  const documents = candidates.flatMap((candidate) => candidate.documents);
  const positives = Int32Array.from(candidates, (_, query) => query * width);
  const owners = Int32Array.from(documents, (_, document) => Math.floor(document / width));
  const first = new Map<string, number>();
  const duplicates = Int32Array.from(documents, ({ text }, document) => {
    const same = first.get(text) ?? document;
    first.set(text, same);
    return same;
  });
  const excluded: number[] = [];
  for (const [number, { query }] of candidates.entries()) {
    const positive = duplicates[positives[number]!]!;
    for (const [document, { key, text }] of documents.entries()) {
      const answers = text === query.text || source.isPositive(query.key, key);
      if (answers && duplicates[document] !== positive) excluded.push(number, document);
    }
  }
  const relation = { positives, owners, duplicates, excluded: Int32Array.from(excluded) };
  return source.scored ? { ...relation, teacherScores: teacherScores(candidates, width) } : relation;
}

function teacherScores(candidates: readonly Candidates[], width: number): Float32Array {
  const columns = candidates.length * width;
  const matrix = new Float32Array(candidates.length * columns).fill(Number.NaN);
  for (const [query, { scores }] of candidates.entries()) matrix.set(scores, query * (columns + width));
  return matrix;
}

function checkOptions(options: BatchOptions): void {
  checkKeys(options, KNOWN);
  checkInteger('queries', options.queries, 1, 2 ** 20);
  checkInteger('negatives', options.negatives, 0, 2 ** 20);
  if (options.givenNegatives !== undefined)
    checkInteger('givenNegatives', options.givenNegatives, 0, options.negatives);
  checkInteger('seed', options.seed, 0, 2 ** 32 - 1);
  if (options.examples !== undefined) checkInteger('examples', options.examples, 1, MOST_EXAMPLES);
  checkBoolean('shuffle', options.shuffle);
  if (options.lastStep !== undefined) checkChoice('lastStep', options.lastStep, ['drop', 'wrap']);
  checkInteger('queryLength', options.queryLength, 2, 2 ** 20);
  checkInteger('documentLength', options.documentLength, 2, 2 ** 20);
}

function checkSize(source: PairSource, examples: number, queries: number): void {
  if (examples > source.size) {
    throw new FlesError(
      'ERR_DATA_EXHAUSTED',
      `${source.name} has ${source.size} examples, expected ${examples} for an epoch; lower "examples" or add data`,
    );
  }
  if (queries > examples) {
    throw new FlesError(
      'ERR_DATA_EXHAUSTED',
      `an epoch of ${source.name} has ${examples} examples, expected ${queries} or more, the queries of one step; lower "queries" or add data`,
    );
  }
  if (source.size > MOST_EXAMPLES) {
    throw new FlesError(
      'ERR_OPTION_RANGE',
      `${source.name} has ${source.size} examples, expected ${MOST_EXAMPLES} at most; train on a part of it`,
    );
  }
}
