import { type Metric, relevantRetrieved } from './judged-ranking';

/** 1 when a relevant document stands among the first k, else 0. */
export const success: Metric = (ranking, k) => (relevantRetrieved(ranking, k) > 0 ? 1 : 0);
