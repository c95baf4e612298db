import { rank, type ScoredDocument } from '../ranking';

/** One query's ranking in the eyes of the judges: all that a metric needs. */
export interface JudgedRanking {
  /** Gain by rank: the relevance of each retrieved document, 0 where it is not judged or judged below 1. */
  gains: readonly number[];
  /** The gains of all relevant documents of the query, retrieved or not, descending. */
  ideal: readonly number[];
}

/**
 * Value of one query in 0..1. `k` is the cut-off, Infinity for none: only the first k ranks count.
 * A query without relevant documents has the value 0.
 */
export type Metric = (ranking: JudgedRanking, k: number) => number;

/** Ranks documents as trec_eval does and looks up their judgements. A relevance below 1, so a negative one, is 0. */
export function judge(judged: ReadonlyMap<string, number>, documents: readonly ScoredDocument[]): JudgedRanking {
  return {
    gains: rank(documents).map(({ document }) => Math.max(0, judged.get(document) ?? 0)),
    ideal: [...judged.values()].filter((relevance) => relevance > 0).sort((a, b) => b - a),
  };
}

/** Number of relevant documents among the first k. */
export function relevantRetrieved({ gains }: JudgedRanking, k: number): number {
  let count = 0;
  for (let i = 0; i < Math.min(k, gains.length); i++) if (gains[i]! > 0) count++;
  return count;
}
