// Contender: onnxruntime-node on the exported graph, from token ids (its tokenising is not timed) to dense weights, in
// batches sorted by length and padded to their longest text.
//   node bench/rivals/onnxruntime.mjs MODEL.onnx THREADS [folder with node_modules/onnxruntime-node]
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { serve } from '../support/contender.mjs';

const [model, threads, folder = process.cwd()] = process.argv.slice(2);
const require = createRequire(join(folder, 'index.js'));
const ort = require('onnxruntime-node');
const session = await ort.InferenceSession.create(model, {
  intraOpNumThreads: Number(threads),
  interOpNumThreads: 1,
  graphOptimizationLevel: 'all',
});

async function run(rows) {
  const length = Math.max(...rows.map((row) => row.length));
  const ids = new BigInt64Array(rows.length * length);
  const mask = new BigInt64Array(rows.length * length);
  for (const [b, row] of rows.entries()) {
    for (const [t, id] of row.entries()) {
      ids[b * length + t] = BigInt(id);
      mask[b * length + t] = 1n;
    }
  }
  const tensor = (values) => new ort.Tensor('int64', values, [rows.length, length]);
  const { weights } = await session.run({ input_ids: tensor(ids), attention_mask: tensor(mask) });
  const nnz = weights.data.reduce((count, weight) => count + (weight > 0 ? 1 : 0), 0);
  weights.dispose?.();
  return nnz;
}

await serve(async ({ tokens, batchSize, repeat = 1 }) => {
  const milliseconds = [];
  let nnz = 0;
  for (let i = 0; i < repeat; i++) {
    const start = performance.now();
    const sorted = [...tokens].sort((a, b) => b.length - a.length);
    nnz = 0;
    for (let at = 0; at < sorted.length; at += batchSize) nnz += await run(sorted.slice(at, at + batchSize));
    milliseconds.push(performance.now() - start);
  }
  const peak = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'));
  return { milliseconds, nnz, peakMb: peak ? Number(peak[1]) / 1024 : null };
});
