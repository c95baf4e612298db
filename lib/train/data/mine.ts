import {
  checkArray,
  checkCallable,
  checkChoice,
  checkInteger,
  checkKeys,
  checkNumber,
  checkObject,
  checkSignal,
} from '../../check';
import { uniform } from './hash';
import { checkSource, type PairSource, type TrainingExample, type TrainingText } from './pair-source';

/** Which documents that a search found become negatives. */
export interface MineOptions {
  /** Negatives of an example, at most. */
  count: number;
  /** The first and the last rank looked at, from 1. */
  from: number;
  to: number;
  /** `random`: drawn from those that are left; `first`: the best of them. */
  draw: 'random' | 'first';
  /** Decides the draws; 0..2^32-1. */
  seed: number;
  /** Least difference by which a negative scores below the positive. */
  margin?: number;
  /** Least part of the positive's score by which a negative scores below it (Moreira et al. 2024, arXiv:2407.15831). */
  relativeMargin?: number;
  minScore?: number;
  maxScore?: number;
}

/** A document that a search found, by its number in the pool. */
export interface FoundDocument {
  document: number;
  score: number;
}

/** The documents that a search finds for each query, best first, `to` at most. */
export type Search = (queries: readonly TrainingText[]) => Promise<FoundDocument[][]>;

/** An example with negatives that a search found, and its scores; NaN of a positive that it did not find. */
export interface MinedExample extends TrainingExample {
  scores: Float32Array;
}

interface Candidate extends TrainingText {
  rank: number;
  score: number;
}

const MOST_RANKS = 2 ** 31 - 1;

/** Examples worked on together: their queries are searched for at once. */
const BATCH = 64;

/**
 * Gives every example of a source, in order, negatives that a search ranks high.
 *
 * No negative is known to answer the query, has the text of the positive or of the query itself, or comes twice. The score of a
 * positive that was not found is below all that were, so that with a margin such an example gets none.
 *
 * Throws `ERR_ARGUMENT_TYPE`, `ERR_OPTION_*`, and what the source and the search throw.
 */
export async function* mineNegatives(
  source: PairSource,
  search: Search,
  options: MineOptions,
  signal?: AbortSignal,
): AsyncGenerator<MinedExample> {
  checkSource(source);
  checkCallable('search', search);
  checkMineOptions(options);
  checkSignal(signal);
  let known = new Map<string, Candidate[]>();
  for (let begin = 0; begin < source.size; begin += BATCH) {
    signal?.throwIfAborted();
    const numbers = Array.from({ length: Math.min(BATCH, source.size - begin) }, (_, i) => begin + i);
    const examples = await source.examples(numbers);
    // Examples of a query mostly follow one another, also from one batch to the next.
    const queries = new Map(examples.map(({ query }) => [queryOf(query), query]));
    const fresh = [...queries].filter(([name]) => !known.has(name)).map(([, query]) => query);
    known = new Map([...known].filter(([name]) => queries.has(name)));
    const found = fresh.length > 0 ? checkArray('what the search gives', await search(fresh), 'lists') : [];
    for (const [i, query] of fresh.entries()) known.set(queryOf(query), await read(source, found[i]!));
    for (const [i, example] of examples.entries()) {
      yield choose(source, example, known.get(queryOf(example.query))!, options, numbers[i]!);
    }
  }
}

function checkMineOptions(options: MineOptions): void {
  const bounds = ['margin', 'relativeMargin', 'minScore', 'maxScore'] as const;
  checkKeys(options, ['count', 'from', 'to', 'draw', 'seed', ...bounds]);
  checkInteger('count', options.count, 1, MOST_RANKS);
  checkInteger('from', options.from, 1, MOST_RANKS);
  checkInteger('to', options.to, options.from, MOST_RANKS);
  checkChoice('draw', options.draw, ['random', 'first']);
  checkInteger('seed', options.seed, 0, 2 ** 32 - 1);
  for (const name of bounds) {
    if (options[name] !== undefined) checkNumber(name, options[name], -Number.MAX_VALUE, Number.MAX_VALUE);
  }
}

/** Queries of the same text may have judgements of their own under each id. */
function queryOf({ id, text }: TrainingText): string {
  return id ?? text;
}

async function read(source: PairSource, found: readonly FoundDocument[]): Promise<Candidate[]> {
  for (const one of checkArray('what the search finds for a query', found, '{document, score}')) {
    checkObject('a document that the search finds', one, '{document, score}', ['document', 'score']);
  }
  const texts = await source.pool.documents(found.map(({ document }) => document));
  return texts.map((text, i) => ({ ...text, rank: i + 1, score: found[i]!.score }));
}

function choose(
  source: PairSource,
  { query, positive }: TrainingExample,
  candidates: readonly Candidate[],
  { count, from, to, draw, seed, margin, relativeMargin, minScore, maxScore }: MineOptions,
  number: number,
): MinedExample {
  const own = candidates.find(({ key, text }) => key === positive.key && text === positive.text);
  const score = own?.score ?? Number.NaN;
  const ceilings = [maxScore ?? Infinity];
  // Comparisons with NaN are false, which is right for a positive that was not found.
  if (margin !== undefined) ceilings.push(score - margin);
  if (relativeMargin !== undefined) ceilings.push(score - relativeMargin * Math.abs(score));
  const fit = candidates.filter(
    (candidate) =>
      candidate.rank >= from &&
      candidate.rank <= to &&
      candidate.score >= (minScore ?? -Infinity) &&
      ceilings.every((ceiling) => candidate.score <= ceiling) &&
      candidate.text !== positive.text &&
      candidate.text !== query.text &&
      candidate.text.trim() !== '' &&
      !source.isPositive(query.key, candidate.key),
  );
  const texts = new Set<string>();
  const distinct = fit.filter(({ text }) => !texts.has(text) && texts.add(text));
  const chosen = draw === 'first' ? distinct.slice(0, count) : drawFrom(distinct, count, [seed, number]);
  return {
    query,
    positive,
    negatives: chosen.map(({ text, key, id }) => ({ text, key, ...(id !== undefined && { id }) })),
    scores: Float32Array.from([score, ...chosen.map((candidate) => candidate.score)]),
  };
}

/** Some of the candidates, each set of them equally likely, in the order of their ranks. */
function drawFrom(candidates: readonly Candidate[], count: number, words: readonly number[]): Candidate[] {
  return candidates
    .map((candidate) => ({ candidate, lot: uniform([...words, candidate.rank]) }))
    .sort((a, b) => a.lot - b.lot)
    .slice(0, count)
    .map(({ candidate }) => candidate)
    .sort((a, b) => a.rank - b.rank);
}
