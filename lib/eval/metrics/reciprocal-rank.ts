import type { Metric } from './judged-ranking';

/** 1 / rank of the first relevant document, 0 when the first k hold none. Its mean over queries is MRR. */
export const reciprocalRank: Metric = ({ gains }, k) => {
  const first = gains.findIndex((gain) => gain > 0);
  return first >= 0 && first < k ? 1 / (first + 1) : 0;
};
