// Contender: transformers.js on the exported graph, from texts (it tokenises) to dense weights, padded to the longest text.
//   node bench/rivals/transformersjs.mjs MODEL_FOLDER THREADS FOLDER_WITH_NODE_MODULES
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { serve } from '../support/contender.mjs';

const [model, threads, folder] = process.argv.slice(2);
const entry = createRequire(join(folder, 'index.js')).resolve('@huggingface/transformers');
const { AutoModel, AutoTokenizer, env } = await import(pathToFileURL(entry).href);
env.allowRemoteModels = false;
env.localModelPath = dirname(model);
const options = { dtype: 'fp32', session_options: { intraOpNumThreads: Number(threads), interOpNumThreads: 1 } };
const tokenizer = await AutoTokenizer.from_pretrained(basename(model));
const network = await AutoModel.from_pretrained(basename(model), options);

await serve(async ({ texts, maxLength, batchSize, repeat = 1 }) => {
  const milliseconds = [];
  let nnz = 0;
  for (let i = 0; i < repeat; i++) {
    const start = performance.now();
    nnz = 0;
    const sorted = [...texts].sort((a, b) => b.length - a.length);
    for (let at = 0; at < sorted.length; at += batchSize) {
      const batch = sorted.slice(at, at + batchSize);
      const inputs = await tokenizer(batch, { padding: true, truncation: true, max_length: maxLength });
      const { weights } = await network(inputs);
      for (const weight of weights.data) nnz += weight > 0 ? 1 : 0;
    }
    milliseconds.push(performance.now() - start);
  }
  const peak = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'));
  return { milliseconds, nnz, peakMb: peak ? Number(peak[1]) / 1024 : null };
});
