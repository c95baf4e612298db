import { FLES1Encoder, type VectorKind } from '../encode/encoder';
import { type BeirDataset, readBeir } from '../eval/beir';
import { compare } from '../eval/compare';
import { DEFAULT_METRICS, namedMetric } from '../eval/metrics';
import type { System } from '../eval/systems';
import { indexesIn } from '../eval/temporary-index';
import type { TrainConfig } from './config';
import type { EvaluationLine } from './run-log';

/** The data set that a run is evaluated on. */
export class Evaluation {
  private constructor(
    private readonly dataset: BeirDataset,
    private readonly metric: string,
    /** Tokens read of a text of each kind. */
    private readonly maxLength: Record<VectorKind, number>,
    private readonly device: TrainConfig['network']['device'],
  ) {}

  /** Undefined where the configuration names no data set. Throws what `readBeir` throws, and `ERR_METRIC_NAME`. */
  static async open({ evaluation: settings, network, task, text }: TrainConfig): Promise<Evaluation | undefined> {
    if (settings.data === null) return undefined;
    namedMetric(settings.metric);
    // The folder of a model says how much it reads of any text, not how much it was trained on of each kind.
    const maxLength = {
      query: settings.maxLength ?? (task === 'mlm' ? text.documentLength : text.queryLength),
      document: settings.maxLength ?? text.documentLength,
    };
    const dataset = await readBeir(settings.data, settings.split);
    return new Evaluation(dataset, settings.metric, maxLength, network.device);
  }

  /**
   * Encodes, indexes and searches the data set with a model folder.
   *
   * @param scratch folder for the index, which is removed afterwards
   */
  async run(
    model: string,
    scratch: string,
    signal?: AbortSignal,
  ): Promise<Pick<EvaluationLine, 'metrics' | 'nnz' | 'flops' | 'seconds'>> {
    const begin = performance.now();
    const encoder = await FLES1Encoder.fromPretrained(model, { device: this.device, signal });
    try {
      const { maxLength, metric } = this;
      const options = (kind: VectorKind) => ({ signal, kind, maxLength: maxLength[kind] });
      const system: System =
        encoder.mode === 'sparse'
          ? { kind: 'sparse', name: 'model', encode: (texts, kind) => encoder.encodeBatch(texts, options(kind)) }
          : { kind: 'dense', name: 'model', encode: (texts, kind) => encoder.encodeDense(texts, options(kind)) };
      const metrics = [...new Set([...DEFAULT_METRICS, metric])];
      const searcher = { createSearcher: indexesIn(scratch, signal) };
      for await (const { row } of compare(this.dataset, [system], { metrics, signal, ...searcher })) {
        const { nnz, flops } = row;
        return { metrics: row.metrics, nnz, flops, seconds: (performance.now() - begin) / 1000 };
      }
      throw new Error('a comparison of one system has one row');
    } finally {
      encoder.dispose();
    }
  }
}
