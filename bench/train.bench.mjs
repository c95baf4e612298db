// One training step of BERT-base with the sparse head, beside PyTorch's of the same objective, in one interleaved run.
//
//   npm run bench:train [-- --json FILE] [--rounds N] [--only SHAPE[,...]] [--rivals NAME[,...]]
//
// Shapes: `8x9`, 8 queries with 8 documents each, 72 texts of 64 tokens; `v12b`, 32 queries with 8 documents each, 288 texts of 64
// tokens in micro-batches. The objective is that of preset v12b: InfoNCE, FLOPS and the pull on dark texts, dropout 0.1, AdamW
// with clipping. Contenders: fles in float32 and bfloat16 and, where FLES_BENCH_PYTHON names a Python with torch and transformers,
// PyTorch in float32 and with bfloat16 autocast; v12b needs more memory than most machines have without micro-batches and is
// measured for fles alone. Weights and tokens are random; the bias of the vocabulary gives
// documents of 64 tokens some 400 terms (933 those of 256, which a step of v12b is predicted to have), which changes the arithmetic of none but this package's, whose head computes exactly
// what may be a term.
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Contender } from './support/contender.mjs';
import { native } from './support/fles.mjs';
import { provenance } from './support/machine.mjs';
import { trainingBertBase } from './support/random-model.mjs';
import { interleave, ratio, summary } from './support/statistics.mjs';
import { words } from './support/texts.mjs';
import { randomBatch, V12B } from './support/training-step.mjs';

const { values: options } = parseArgs({
  options: {
    json: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: '8x9,v12b' },
    rivals: { type: 'string', default: 'bfloat16,torch,torch-bfloat16' },
  },
});
const LENGTH = 64;
const SHAPES = {
  '8x9': { queries: 8, documents: 8, rivals: true },
  v12b: { queries: 32, documents: 8, rivals: false },
};
/** The micro-batch is what the trainer chooses for a model of this size. */
const SETTINGS = { ...V12B, microBatchTokens: 4668 };

const model = trainingBertBase(words());
const { threads } = native.platform();
const python = process.env.FLES_BENCH_PYTHON;
const script = (name) => join(dirname(fileURLToPath(import.meta.url)), 'rivals', name);
const roster = {
  fles: () => new Contender('fles', process.execPath, [script('fles_train.mjs'), model, 'float32']),
  bfloat16: () => new Contender('bfloat16', process.execPath, [script('fles_train.mjs'), model, 'bfloat16']),
};
if (python) {
  const torch = (name, dtype) => () => new Contender(name, python, [script('torch_train.py'), model, dtype, threads]);
  roster.torch = torch('torch', 'float32');
  roster['torch-bfloat16'] = torch('torch-bfloat16', 'bfloat16');
}
for (const name of Object.keys(roster)) {
  if (name !== 'fles' && !options.rivals.split(',').includes(name)) delete roster[name];
}

const batchOf = (shape) => ({
  ...randomBatch({ ...shape, queryTokens: LENGTH, documentTokens: LENGTH }),
  settings: SETTINGS,
});

/**
 * Multiplications and additions of a step that leaves nothing out: products forward once and backward twice, attention
 * likewise, the whole vocabulary projection, which a screen spares fles, forward alone, for its gradient is wanted at the largest logits only. What gradient
 * caching computes a second time is not among them.
 */
function flopOf({ queries, documents }) {
  const [layers, C, I, V] = [12, 768, 3072, 30522];
  const tokens = queries * (1 + documents) * LENGTH;
  const layer = 2 * (4 * C * C + 2 * C * I) + 4 * LENGTH * C;
  return tokens * (3 * (layers * layer + 2 * C * C) + 2 * C * V);
}

const report = { ...provenance(), roofline: native.roofline(), shapes: {} };
console.log(
  `${report.cpu}, ${threads} threads, ${report.cpuLevel}: ${report.roofline.gflops.toFixed(0)} GFLOP/s float32`,
);
for (const name of options.only.split(',')) {
  const shape = SHAPES[name];
  if (!shape) throw new Error(`no shape ${name}, expected one of ${Object.keys(SHAPES).join(', ')}`);
  const asked = batchOf(shape);
  const taking = Object.entries(roster).filter(([who]) => shape.rivals || !who.startsWith('torch'));
  const contenders = taking.map(([who, start]) => [who, start()]);
  const answers = Object.fromEntries(taking.map(([who]) => [who, []]));
  // The machine's speed drifts, so its peak is measured in every round, while the contenders wait.
  const { peak: peaks, ...seconds } = await interleave(
    Object.fromEntries([
      ...contenders.map(([who, contender]) => [
        who,
        async () => {
          const answer = await contender.ask(asked);
          answers[who].push(answer);
          return answer.seconds;
        },
      ]),
      ['peak', () => native.roofline().gflops],
    ]),
    Number(options.rounds),
  );
  for (const [, contender] of contenders) contender.stop();
  const peak = Math.max(...peaks);
  const texts = shape.queries * (1 + shape.documents);
  const row = { texts, length: LENGTH, tokens: texts * LENGTH, gflop: flopOf(shape) / 1e9, peak, contenders: {} };
  console.log(`\n${name}: ${texts} texts of ${LENGTH} tokens, ${row.gflop.toFixed(0)} GFLOP`);
  for (const [who] of taking) {
    const last = answers[who].at(-1);
    const own = who.startsWith('torch') ? (who === 'torch' ? 'fles' : 'bfloat16') : undefined;
    const entry = {
      seconds: summary(seconds[who]),
      ofPeak: row.gflop / summary(seconds[who]).median / peak,
      firstLoss: answers[who][0].loss,
      peakMb: last.peakMb,
      ...(last.documentTerms && { documentTerms: last.documentTerms }),
      ...(last.parts && { parts: last.parts, bytes: last.bytes, headBytes: last.headBytes }),
      ...(own && seconds[own] && { flesIsFaster: ratio(seconds[who], seconds[own]) }),
    };
    row.contenders[who] = entry;
    const { median, low, high } = entry.seconds;
    const faster = entry.flesIsFaster ? `  fles is ${entry.flesIsFaster.median.toFixed(2)} x faster` : '';
    console.log(
      `  ${who.padEnd(16)} ${median.toFixed(2)} s (${low.toFixed(2)}..${high.toFixed(2)})  ${(100 * entry.ofPeak).toFixed(0)}% of the peak  ${last.peakMb.toFixed(0)} MB  loss ${entry.firstLoss.toFixed(4)}${faster}`,
    );
    if (!last.parts) continue;
    const parts = Object.entries(last.parts).map(([part, value]) => `${part} ${value.toFixed(2)}`);
    console.log(`    ${parts.join(', ')} s; the head's memory ${(last.headBytes / 1e6).toFixed(0)} MB`);
  }
  report.shapes[name] = row;
}
if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
