import { type Metric, relevantRetrieved } from './judged-ranking';

/** Share of the first k ranks that hold a relevant document; a rank that nothing was retrieved for counts against it. */
export const precision: Metric = (ranking, k) => relevantRetrieved(ranking, k) / k;
