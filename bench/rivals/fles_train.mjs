// Contender: one training step of this package, a batch of token ids a request.
//
//   node bench/rivals/fles_train.mjs MODEL DTYPE
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { serve } from '../support/contender.mjs';
import { createTrainer, stepArguments } from '../support/training-step.mjs';

const { readModel } = createRequire(import.meta.url)('../../dist/model/model.js');
const [model, dtype] = process.argv.slice(2);
const spec = await readModel(model);
let trainer;

await serve(async ({ queries, documents, settings }) => {
  const { dropout, microBatchTokens } = settings;
  trainer ??= await createTrainer(spec, { device: 'cpu', dtype, dropout, microBatchTokens });
  const asked = stepArguments({ queries, documents }, settings);
  const begin = performance.now();
  const { loss, seconds, bytes, headBytes, documentTerms } = await trainer.step(...asked);
  const total = (performance.now() - begin) / 1000;
  const peakMb = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
  return {
    seconds: total,
    parts: seconds,
    loss,
    bytes,
    headBytes,
    documentTerms: documentTerms / documents.length,
    peakMb,
  };
});
