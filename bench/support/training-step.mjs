// The training step of preset v12b, without the data around it: InfoNCE, FLOPS and the pull on dark texts, dropout, AdamW
// with clipping.
import { native } from './fles.mjs';

export const V12B = {
  temperature: 0.05,
  lambda: 3e-5,
  dropout: 0.1,
  rate: 2e-5,
  antiCollapse: { weight: 1, terms: 16, margin: 0.5 },
};

/** Queries and, one after the other, `documents` of each: random words between [CLS] and [SEP], as lists of token ids. */
export function randomBatch({ queries, documents, queryTokens, documentTokens, vocabulary = 30_005 }) {
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const text = (length) => [
    2,
    ...Array.from({ length: length - 2 }, () => 5 + Math.floor(next() * (vocabulary - 5))),
    3,
  ];
  return {
    queries: Array.from({ length: queries }, () => text(queryTokens)),
    documents: Array.from({ length: queries * documents }, () => text(documentTokens)),
  };
}

/** A trainer of the model that `readModel` has read. */
export function createTrainer(spec, { device, dtype, dropout, microBatchTokens }) {
  return native.NativeTrainer.create(
    { device, dtype: 'float32', config: spec.config, withHead: true, files: spec.files, tensors: spec.tensors },
    {
      seed: 1,
      dropout,
      attentionDropout: dropout,
      dtype,
      pooling: 'max',
      queryKind: 'encoder',
      dropped: new Int32Array(0),
      bagDropped: new Int32Array(0),
      microBatchTokens,
      keptLayers: spec.config.layers,
      initialize: 'none',
    },
  );
}

/** Lists of token ids one after the other, as the native core takes them. */
export function textsOf(rows) {
  let end = 0;
  return {
    tokens: Int32Array.from(rows.flat()),
    offsets: Int32Array.of(0, ...rows.map((row) => (end += row.length))),
  };
}

/** What `NativeTrainer.step` takes for a batch. */
export function stepArguments({ queries, documents }, { temperature, lambda, antiCollapse, rate }) {
  const each = documents.length / queries.length;
  const batch = {
    queries: textsOf(queries),
    documents: textsOf(documents),
    positives: Int32Array.from(queries, (_, q) => q * each),
    owners: Int32Array.from(documents, (_, d) => Math.floor(d / each)),
    duplicates: Int32Array.from(documents, (_, d) => d),
  };
  const flops = { norm: 'L2', minimumTerms: 0 };
  const objective = {
    weights: { infoNCE: 1, flopsDocuments: lambda, flopsQueries: lambda, antiCollapse: antiCollapse.weight },
    similarity: 'dot',
    negatives: 'all',
    temperature,
    distillationTemperature: 1,
    teacherTemperature: 1,
    flopsDocuments: flops,
    flopsQueries: flops,
    antiCollapse: { k: antiCollapse.terms, margin: antiCollapse.margin },
  };
  const update = { rate, weightDecay: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, clip: 1 };
  return [batch, objective, update];
}
