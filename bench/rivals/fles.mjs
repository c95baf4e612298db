// Contender: this package, from text to vectors: sparse ones, or dense ones of a dense model.
//   node bench/rivals/fles.mjs MODEL_FOLDER DTYPE
import { readFileSync } from 'node:fs';
import { serve } from '../support/contender.mjs';
import { fles } from '../support/fles.mjs';

const encoder = await fles.FLES1Encoder.fromPretrained(process.argv[2], { dtype: process.argv[3] });

await serve(async ({ texts, maxLength, batchSize, repeat = 1 }) => {
  const milliseconds = [];
  let nnz = 0;
  for (let i = 0; i < repeat; i++) {
    const start = performance.now();
    if (encoder.mode === 'dense') await encoder.encodeDense(texts, { maxLength, batchSize });
    else nnz = (await encoder.encodeBatch(texts, { maxLength, batchSize })).nnz;
    milliseconds.push(performance.now() - start);
  }
  const peak = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'));
  return { milliseconds, nnz, peakMb: peak ? Number(peak[1]) / 1024 : null };
});
