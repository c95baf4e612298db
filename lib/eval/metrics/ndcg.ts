import type { Metric } from './judged-ranking';

/**
 * Normalised discounted cumulative gain: sum of gain / log2(rank + 1), over the same sum of the ideal ranking of all
 * judged documents. Gain is the relevance itself, not 2^relevance - 1.
 *   Järvelin and Kekäläinen 2002, doi:10.1145/582415.582418
 */
export const ndcg: Metric = ({ gains, ideal }, k) => (ideal.length === 0 ? 0 : dcg(gains, k) / dcg(ideal, k));

function dcg(gains: readonly number[], k: number): number {
  let sum = 0;
  for (let i = 0; i < Math.min(k, gains.length); i++) sum += gains[i]! / Math.log2(i + 2);
  return sum;
}
