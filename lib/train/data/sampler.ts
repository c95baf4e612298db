import { FlesError } from '../../errors';
import { uniform } from './hash';
import type { PairSource, TrainingExample, TrainingText } from './pair-source';

/** Rounds in which documents that were drawn in vain are drawn again before the pool is walked through. */
const ROUNDS = 64;
/** Documents looked at one after the other at most, when drawing has found none. */
const LONGEST_WALK = 4096;

/** What the words of a draw begin with, so that no two kinds of draw share their words. */
const GIVEN = 1;
const RANDOM = 2;

/** A query with its documents, the positive first. */
export interface Candidates {
  query: TrainingText;
  documents: TrainingText[];
  /** A teacher's score of each document, NaN where there is none. */
  scores: number[];
}

/**
 * Chooses `negatives` documents for each example: up to `given` of those that it gives, the others from the pool.
 *
 * `words` are those of the examples' places in the run; they decide every draw. No document is a positive of the query or the
 * query itself, and none comes twice for a query, by text.
 *
 * Throws `ERR_DATA_EXHAUSTED` when the pool has too few such documents.
 */
export async function chooseNegatives(
  source: PairSource,
  examples: readonly TrainingExample[],
  words: readonly (readonly number[])[],
  { negatives, given }: { negatives: number; given: number },
): Promise<Candidates[]> {
  const all = examples.map((example, i) => givenOf(source, example, Math.min(given, negatives), words[i]!));
  const { pool } = source;
  /** Examples that still need documents, once for each. */
  let open = all.flatMap(({ documents }, i) => Array<number>(1 + negatives - documents.length).fill(i));
  for (let round = 0; open.length > 0; round++) {
    if (round === ROUNDS + Math.min(pool.size, LONGEST_WALK)) throw exhausted(source, all[open[0]!]!, negatives);
    const numbers = open.map((i, slot) => {
      const isDrawn = round < ROUNDS;
      const drawn = uniform([RANDOM, ...words[i]!, ...(isDrawn ? [slot, round] : [])]);
      return (Math.floor(drawn * pool.size) + (isDrawn ? 0 : round - ROUNDS)) % pool.size;
    });
    const documents = await pool.documents(numbers);
    open = open.filter((i, slot) => !accept(source, all[i]!, documents[slot]!, Number.NaN));
  }
  return all;
}

/** The positive of an example and those of its own negatives that are chosen. */
function givenOf(source: PairSource, example: TrainingExample, most: number, words: readonly number[]): Candidates {
  const { query, positive, negatives, scores } = example;
  const chosen: Candidates = { query, documents: [positive], scores: [scores?.[0] ?? Number.NaN] };
  const order = Array.from(negatives.keys());
  // As many as are wanted stay in the order of the data; of more, a part is drawn (Fisher-Yates).
  const isDrawn = negatives.length > most;
  for (let next = 0; next < order.length && chosen.documents.length <= most; next++) {
    if (isDrawn) {
      const other = next + Math.floor(uniform([GIVEN, ...words, next]) * (order.length - next));
      [order[next], order[other]] = [order[other]!, order[next]!];
    }
    const number = order[next]!;
    accept(source, chosen, negatives[number]!, scores?.[1 + number] ?? Number.NaN);
  }
  return chosen;
}

/** Adds a document unless it answers the query, is the query itself or is there already. */
function accept(source: PairSource, chosen: Candidates, document: TrainingText, score: number): boolean {
  if (document.text === chosen.query.text || source.isPositive(chosen.query.key, document.key)) return false;
  if (chosen.documents.some(({ text }) => text === document.text)) return false;
  chosen.documents.push(document);
  chosen.scores.push(score);
  return true;
}

function exhausted(source: PairSource, { query, documents }: Candidates, negatives: number): FlesError {
  return new FlesError(
    'ERR_DATA_EXHAUSTED',
    `${source.name} has ${documents.length - 1} different negatives for the query ${JSON.stringify(query.text.slice(0, 60))} among ${source.pool.size} documents, expected ${negatives}; ask for fewer, or add documents`,
  );
}
