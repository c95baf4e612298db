import { checkStrings, nearest, show } from '../../check';
import { FlesError } from '../../errors';
import { averagePrecision } from './average-precision';
import type { JudgedRanking, Metric } from './judged-ranking';
import { ndcg } from './ndcg';
import { precision } from './precision';
import { recall } from './recall';
import { reciprocalRank } from './reciprocal-rank';
import { success } from './success';

/** A metric under trec_eval's name, bound to its cut-off. */
export type NamedMetric = (ranking: JudgedRanking) => number;

/** By the name without its cut-off. To add a metric: a file beside this one and a row here. */
const METRICS = new Map<string, Metric>([
  ['ndcg', ndcg],
  ['map', averagePrecision],
  ['recip_rank', reciprocalRank],
  ['ndcg_cut', ndcg],
  ['map_cut', averagePrecision],
  ['recall', recall],
  ['P', precision],
  ['success', success],
]);

/** Names that stand without a cut-off; `recip_rank` takes one too (trec_eval itself has none for it). */
const WITHOUT_CUT = ['ndcg', 'map', 'recip_rank'];
const WITH_CUT = ['ndcg_cut', 'map_cut', 'recip_rank', 'recall', 'P', 'success'];

/** The metrics of a comparison: nDCG@10, MRR, MRR@10, Recall@100 and MAP. */
export const DEFAULT_METRICS = ['ndcg_cut_10', 'recip_rank', 'recip_rank_10', 'recall_100', 'map'] as const;

/**
 * The metric of a name as trec_eval spells it: `ndcg`, `map`, `recip_rank`, or `ndcg_cut_K`, `map_cut_K`, `recall_K`,
 * `P_K`, `success_K`, `recip_rank_K` with a cut-off K of 1 or more. Throws `ERR_METRIC_NAME`.
 */
export function namedMetric(name: string): NamedMetric {
  const [, stem = '', cut] = /^(.*?)(?:_([1-9]\d{0,8}))?$/.exec(name) ?? [];
  const metric = METRICS.get(stem);
  if (!metric || !(cut ? WITH_CUT : WITHOUT_CUT).includes(stem)) throw unknownMetric(name);
  const k = cut ? Number(cut) : Number.POSITIVE_INFINITY;
  return (ranking) => metric(ranking, k);
}

/** The metrics of several names, each with its name, one that comes twice once. Throws `ERR_ARGUMENT_TYPE` for what is no array, and as `namedMetric`. */
export function namedMetrics(names: readonly string[]): { name: string; value: NamedMetric }[] {
  return [...new Set(checkStrings('metrics', names))].map((name) => ({ name, value: namedMetric(name) }));
}

/** The largest cut-off of some metrics, 0 where none has one: so many documents a query they look at. */
export function deepestCut(names: readonly string[]): number {
  return Math.max(0, ...names.map((name) => Number(/_(\d+)$/.exec(name)?.[1] ?? 0)));
}

function unknownMetric(name: string): FlesError {
  const known = [...WITHOUT_CUT, ...WITH_CUT.map((stem) => `${stem}_10`)];
  const guess = nearest(name, known);
  return new FlesError(
    'ERR_METRIC_NAME',
    `metric ${show(name)} is not known, expected one of ${known.join(', ')} (any cut-off)${guess ? `; did you mean "${guess}"?` : ''}`,
  );
}
