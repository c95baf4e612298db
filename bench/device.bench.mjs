// Every op, one batch of the encoder and one training step on a device, beside what the roofline model predicts.
//
//   npm run bench -- --device cpu|cuda[:N] [--json FILE] [--only SECTION[,...]] [--filter SUBSTRING] [--time MILLISECONDS]
//                    [--tiny]
//
// Sections: ops (at the sizes of BERT-base; --filter chooses among their names), encode (32 texts of 128 tokens in float32,
// bfloat16 and int8), train (a step of `v12b`: 32 queries of 64 tokens with 8 documents of 256 each, in float32 and
// bfloat16; on the CPU it takes hours and runs only when --only names it). Weights are random, which does not change the
// arithmetic; the decoder's bias and a threshold give texts as many terms as trained weights do.
//
// Times are medians with quartiles. Before the clock stops, the host waits for the device. An op is queued so often that a
// sample takes 20 ms or more, always on the same memory: what fits the L2 cache is found there, which the model does not
// assume, and launches overlap with what runs, which it does not assume either.
//
// --tiny takes sizes that an emulated device does in seconds, two samples of each. Times of an emulated device are no measurements.
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { automaticTokens, encodeBatch, times, trainingStep } from './support/cuda-steps.mjs';
import { opCases, SIZES } from './support/device-cases.mjs';
import { native } from './support/fles.mjs';
import { provenance } from './support/machine.mjs';
import { beside, predictorFor } from './support/predictions.mjs';
import { randomModel } from './support/random-model.mjs';
import { summary } from './support/statistics.mjs';
import { words } from './support/texts.mjs';
import { createTrainer, randomBatch, stepArguments, textsOf, V12B } from './support/training-step.mjs';

const { readModel } = createRequire(import.meta.url)('../dist/model/model.js');
const { values: options } = parseArgs({
  options: {
    device: { type: 'string', default: 'cpu' },
    json: { type: 'string' },
    only: { type: 'string' },
    filter: { type: 'string', default: '' },
    time: { type: 'string' },
    tiny: { type: 'boolean', default: false },
  },
});

function fail(message) {
  console.error(`error: ${message}`);
  process.exit(1);
}

const SECTIONS = { ops: benchOps, encode: benchEncode, train: benchTraining };
const { device, tiny } = options;
const sections = (options.only ?? (device === 'cpu' ? 'ops,encode' : 'ops,encode,train')).split(',');
for (const name of sections) {
  if (!(name in SECTIONS)) fail(`ERR_USAGE --only has "${name}", expected some of ${Object.keys(SECTIONS).join(',')}`);
}
const sampleTime = Number(options.time ?? (tiny ? 0 : 500));
if (!(sampleTime >= 0)) fail(`ERR_USAGE --time is "${options.time}", expected milliseconds, 0 or more`);

if (!/^(cpu|cuda(:\d+)?)$/.test(device)) fail(`ERR_USAGE --device is "${device}", expected cpu | cuda | cuda:N`);
let memory; // bytes of the device; the reason where there is no such device
try {
  memory = native.deviceMemory(device);
} catch (error) {
  fail(`${error.code} ${error.message}`);
}
const cuda = native.platform().backends.find(({ name }) => name === 'cuda');
const index = Number(device.split(':')[1] ?? 0);
const description = device.startsWith('cuda') ? cuda.description.split('; ')[index] : '';
const emulated = description.startsWith('emulated device');
const tf32 = device.startsWith('cuda') && process.env.FLES_TF32 !== '0';
const predictor = predictorFor({ device, description, tf32 });

const sizeName = tiny ? 'tiny' : 'bert-base';
const size = SIZES[sizeName];
const { model } = size;
let spec; // of the random model, once it is there

/** Milliseconds of one run, after some to warm up. `run(n)` runs n times and waits; `queued`: n may be more than 1. */
async function millisecondsOf(run, { queued = false } = {}) {
  const sample = async (runs) => {
    const start = performance.now();
    await run(runs);
    return performance.now() - start;
  };
  let runs = 1;
  while ((await sample(runs)) < Math.min(20, sampleTime) && queued && runs < 2 ** 16) runs *= 2;
  const samples = [];
  const start = performance.now();
  while (samples.length < (tiny ? 2 : 5) || performance.now() - start < sampleTime) {
    samples.push((await sample(runs)) / runs);
  }
  return { ...summary(samples), runsOfSample: runs };
}

let failed = 0;
/**
 * A row of the results, which is printed too. `run` gives {facts, milliseconds, ops}; where it throws, the row has the
 * error, and the next case is run.
 */
async function rowOf(name, run) {
  try {
    const { facts, milliseconds, ops } = await run();
    const row = { name, ...facts, ...beside({ milliseconds, emulated, predictor, ops }) };
    const show = (value) => `${value.toFixed(value < 1 ? 4 : 2)} ms`;
    const { median, low, high } = milliseconds;
    const predicted = row.predicted ? `  predicted ${show(row.predicted.milliseconds)}` : '';
    const ratio = row.ratio ? `  ratio ${row.ratio.toFixed(2)}` : '';
    console.log(`${name.padEnd(64)} ${show(median)} (${show(low)} to ${show(high)})${predicted}${ratio}`);
    return row;
  } catch (error) {
    failed++;
    const message = `${error.code ?? 'ERR_INTERNAL'} ${error.message}`;
    console.error(`${name.padEnd(64)} error: ${message}`);
    return { name, error: message };
  }
}

async function benchOps() {
  const rows = [];
  for (const { name, op, sizes, args } of opCases(size).filter((one) => one.name.includes(options.filter))) {
    const row = await rowOf(name, async () => {
      const milliseconds = await millisecondsOf(native.prepareOp(device, op, args()), { queued: true });
      return { facts: { op, type: sizes.type ?? 'float32' }, milliseconds, ops: [{ op, ...sizes }] };
    });
    rows.push(row);
  }
  if (rows.length === 0) fail(`ERR_USAGE --filter is "${options.filter}", which no case has in its name`);
  return rows;
}

/** The value that `k` weights of each text are above, at the median of the texts. */
function thresholdOf({ offsets, weights }, k) {
  const texts = Array.from(offsets.slice(0, -1), (begin, text) => weights.slice(begin, offsets[text + 1]));
  const kth = texts.map((row) => row.sort().at(-1 - k) ?? 0);
  return summary(kth).median;
}

async function benchEncode() {
  const { texts, tokens, keptTerms: wanted } = size.encode;
  const { queries } = randomBatch({ queries: texts, documents: 0, queryTokens: tokens, vocabulary: model.V });
  const batch = textsOf(queries);
  const measure = async (type) => {
    const { config, files, tensors } = spec;
    const encoder = await native.NativeEncoder.load({ device, dtype: type, config, withHead: true, files, tensors });
    try {
      const settings = { pooling: 'max', threshold: 0, topK: 0, dropped: new Int32Array(0) };
      const encode = () => encoder.encodeSparse(batch.tokens, batch.offsets, settings);
      settings.threshold = thresholdOf(await encode(), wanted);
      const keptTerms = (await encode()).weights.length / texts;
      const milliseconds = await millisecondsOf(encode);
      const { ops } = encodeBatch({ model, lengths: times(texts, tokens), type, keptTerms });
      return { facts: { type, ...size.encode, keptTerms }, milliseconds, ops };
    } finally {
      encoder.dispose();
    }
  };
  const rows = [];
  for (const type of ['float32', 'bfloat16', 'int8']) {
    rows.push(await rowOf(`encode ${texts} x ${tokens} tokens ${type}`, () => measure(type)));
  }
  return rows;
}

async function benchTraining() {
  const { queries, documents, queryTokens, documentTokens } = size.training;
  const lengths = { queries: times(queries, queryTokens), documents: times(queries * documents, documentTokens) };
  // As the trainer chooses it; in the tiny step so that there are several.
  const share = memory > 0 ? [memory / 2] : [2e9, 16_384];
  const microBatchTokens = tiny ? 48 : automaticTokens(model, ...share);
  const asked = stepArguments(randomBatch({ ...size.training, vocabulary: Math.min(model.V, 30_005) }), V12B);
  const measure = async (type) => {
    const trainer = await createTrainer(spec, { device, dtype: type, dropout: V12B.dropout, microBatchTokens });
    try {
      let report;
      const milliseconds = await millisecondsOf(async () => {
        report = await trainer.step(...asked);
      });
      const { loss, bytes, headBytes, documentTerms, queryTerms, seconds: secondsOfParts } = report;
      const activeTerms = Math.max(1, (documentTerms + queryTerms) / (queries * (1 + documents)));
      const step = trainingStep({ model, ...lengths, type, activeTerms, microTokens: microBatchTokens });
      const sizes = { ...size.training, tokens: step.tokens, microBatchTokens, microBatches: step.micros, activeTerms };
      const facts = { type, ...sizes, loss, bytes, headBytes, secondsOfParts };
      return { facts, milliseconds, ops: step.ops };
    } finally {
      trainer.dispose();
    }
  };
  const name = `train ${queries} x ${queryTokens} and ${queries * documents} x ${documentTokens} tokens`;
  const rows = [];
  for (const type of ['float32', 'bfloat16']) rows.push(await rowOf(`${name} ${type}`, () => measure(type)));
  return rows;
}

const report = {
  ...provenance(),
  device,
  description: description || 'the CPU',
  emulated,
  ...(emulated && { note: 'kernels ran on the CPU: no time here is a measurement' }),
  size: sizeName,
  tf32,
  predictor: predictor.device
    ? { status: 'PREDICTED, not measured', device: predictor.device.name, exact: predictor.exact }
    : { reason: predictor.reason },
};
console.log(`${report.description}${emulated ? ', emulated: no time here is a measurement' : ''}`);
if (predictor.device) console.log(`predicted for ${predictor.device.name}${predictor.exact ? '' : ', the nearest'}`);
else console.log(`no predictions: ${predictor.reason}`);
if (sections.some((name) => name !== 'ops')) {
  spec = await readModel(randomModel(`${sizeName}-sparse`, model, words(), size.decoderBias));
}
for (const name of Object.keys(SECTIONS)) {
  if (sections.includes(name)) report[name] = await SECTIONS[name]();
}
if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
if (failed > 0) fail(`ERR_BENCHMARK ${failed} of the cases failed, expected none; the lines above have the reasons`);
