import type { Metric } from './judged-ranking';

/**
 * Mean, over all relevant documents, of the precision at the rank where each stands; 0 for those not among the first k.
 * Its mean over queries is MAP.
 */
export const averagePrecision: Metric = ({ gains, ideal }, k) => {
  let found = 0;
  let sum = 0;
  for (let i = 0; i < Math.min(k, gains.length); i++) if (gains[i]! > 0) sum += ++found / (i + 1);
  return ideal.length === 0 ? 0 : sum / ideal.length;
};
