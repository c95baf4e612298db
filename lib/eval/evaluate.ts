import { checkBoolean, checkKeys, checkMap } from '../check';
import { FlesError } from '../errors';
import { DEFAULT_METRICS, namedMetrics } from './metrics';
import { judge } from './metrics/judged-ranking';
import { checkDocuments, type Qrels, type Run } from './ranking';

export interface EvaluateOptions {
  /** trec_eval's names, see `namedMetric`; `DEFAULT_METRICS` by default. */
  metrics?: readonly string[];
  /** Whether to return the values of every query, by default not. */
  perQuery?: boolean;
}

export interface Evaluation {
  /** Mean over all judged queries, by metric name. */
  metrics: Record<string, number>;
  /** Number of judged queries, the divisor of every mean. */
  queries: number;
  /** Judged queries without a retrieved document: each counts 0. */
  unanswered: string[];
  /** Number of queries of the run that are not judged: they do not count. */
  unjudged: number;
  /** Values by query id and metric name, in the order of the judgements, when asked for. */
  perQuery?: Map<string, Record<string, number>>;
}

/**
 * Scores a run against judgements as trec_eval 9.0.8 does with `-c`: the mean runs over all judged queries, and one that
 * the run does not answer counts 0. Ranking is by float32 score descending, ties by document id descending (strcmp);
 * relevance of 1 or more is relevant.
 *
 * Throws `ERR_METRIC_NAME`, `ERR_QRELS_EMPTY` when there is nothing to average over, and `ERR_RUN_DUPLICATE` when a
 * query of the run lists a document twice.
 */
export function evaluate(qrels: Qrels, run: Run, options: EvaluateOptions = {}): Evaluation {
  checkKeys(options, ['metrics', 'perQuery']);
  const metrics = namedMetrics(options.metrics ?? DEFAULT_METRICS);
  checkBoolean('perQuery', options.perQuery);
  checkMap('qrels', qrels, 'judgements by query id, as readQrels gives');
  checkMap('run', run, 'documents by query id, as readRun gives');
  if (qrels.size === 0) throw new FlesError('ERR_QRELS_EMPTY', 'there are 0 judged queries, expected at least 1');
  const sums = new Map(metrics.map(({ name }) => [name, 0]));
  const perQuery = new Map<string, Record<string, number>>();
  const unanswered: string[] = [];
  for (const [query, judged] of qrels.entries()) {
    checkMap(`qrels of query ${query}`, judged, 'relevance by document id');
    const documents = checkDocuments(query, run.get(query) ?? []);
    if (documents.length === 0) unanswered.push(query);
    checkDistinct(
      query,
      documents.map(({ document }) => document),
    );
    const ranking = judge(judged, documents);
    const values: Record<string, number> = {};
    for (const { name, value } of metrics) {
      values[name] = value(ranking);
      sums.set(name, sums.get(name)! + values[name]);
    }
    if (options.perQuery) perQuery.set(query, values);
  }
  return {
    metrics: Object.fromEntries([...sums].map(([name, sum]) => [name, sum / qrels.size])),
    queries: qrels.size,
    unanswered,
    unjudged: [...run.keys()].filter((query) => !qrels.has(query)).length,
    ...(options.perQuery && { perQuery }),
  };
}

function checkDistinct(query: string, documents: string[]): void {
  if (new Set(documents).size === documents.length) return;
  const twice = documents.find((document, i) => documents.indexOf(document) < i);
  throw new FlesError('ERR_RUN_DUPLICATE', `the run lists document ${twice} of query ${query} more than once`);
}
