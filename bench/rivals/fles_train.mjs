// Contender: one training step of this package, a batch of token ids a request.
//
//   node bench/rivals/fles_train.mjs MODEL DTYPE
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { serve } from '../support/contender.mjs';
import { native } from '../support/fles.mjs';

const { readModel } = createRequire(import.meta.url)('../../dist/model/model.js');
const [model, dtype] = process.argv.slice(2);
const spec = await readModel(model);
let trainer;

const texts = (rows) => {
  let end = 0;
  return {
    tokens: Int32Array.from(rows.flat()),
    offsets: Int32Array.of(0, ...rows.map((row) => (end += row.length))),
  };
};

await serve(async ({ queries, documents, settings }) => {
  trainer ??= await native.NativeTrainer.create(
    { device: 'cpu', dtype: 'float32', config: spec.config, withHead: true, files: spec.files, tensors: spec.tensors },
    {
      seed: 1,
      dropout: settings.dropout,
      attentionDropout: settings.dropout,
      dtype,
      pooling: 'max',
      queryKind: 'encoder',
      dropped: new Int32Array(0),
      bagDropped: new Int32Array(0),
      microBatchTokens: settings.microBatchTokens,
      keptLayers: spec.config.layers,
      initialize: 'none',
    },
  );
  const each = documents.length / queries.length;
  const batch = {
    queries: texts(queries),
    documents: texts(documents),
    positives: Int32Array.from(queries, (_, q) => q * each),
    owners: Int32Array.from(documents, (_, d) => Math.floor(d / each)),
    duplicates: Int32Array.from(documents, (_, d) => d),
  };
  const { temperature, lambda, antiCollapse, rate } = settings;
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
  const begin = performance.now();
  const { loss, seconds, bytes, headBytes } = await trainer.step(batch, objective, update);
  const total = (performance.now() - begin) / 1000;
  const peakMb = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
  return { seconds: total, parts: seconds, loss, bytes, headBytes, peakMb };
});
