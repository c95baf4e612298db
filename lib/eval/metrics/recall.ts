import { type Metric, relevantRetrieved } from './judged-ranking';

/** Share of all relevant documents that stand among the first k. */
export const recall: Metric = (ranking, k) =>
  ranking.ideal.length === 0 ? 0 : relevantRetrieved(ranking, k) / ranking.ideal.length;
