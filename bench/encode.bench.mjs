// Encoding against every runtime that is found, in one interleaved run.
//
//   npm run bench:encode [-- --json FILE] [--rounds N] [--only SECTION[,...]] [--rivals NAME[,...]] [--large]
//
// Sections: fixed (BERT-base size, lengths 32, 128, 256), documents (NFCorpus as it is, needs FLES_DATA), query (one short
// query, idle and under load), memory (32 texts of 256 tokens), load (process start to first vector), real (the models of
// FLES_MODELS on NFCorpus, beside sentence-transformers, both from texts).
// Rivals are optional: onnxruntime-node (float32, and int8 by its dynamic quantisation) where FLES_BENCH_NODE_MODULES names a
// folder that has it in node_modules, and transformers.js where that folder has it; PyTorch (float32 and bfloat16) and
// OpenVINO (float32, bfloat16 where the processor has it, and onnxruntime's int8 graph) where FLES_BENCH_PYTHON names a
// Python that has torch, transformers, onnx, onnxruntime and openvino (it also exports the ONNX files). A rival is compared
// with this package at the same precision.
// Weights of BERT-base are random; the bias of the vocabulary gives documents as many terms as trained weights do, which
// changes the arithmetic of none but this package's, whose head computes exactly what may be a term (docs/encoding.md). With
// FLES_MODELS the vocabulary is BERT's, and NFCorpus has its true lengths.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Contender } from './support/contender.mjs';
import { fles, native } from './support/fles.mjs';
import { provenance } from './support/machine.mjs';
import { sparseBertBase } from './support/random-model.mjs';
import { interleave, quantile, ratio, summary } from './support/statistics.mjs';
import { fixedTexts, nfcorpusTexts, vocabulary } from './support/texts.mjs';

const { values: options } = parseArgs({
  options: {
    json: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    large: { type: 'boolean', default: false },
    rivals: {
      type: 'string',
      default:
        'bfloat16,int8,onnxruntime,onnxruntime-int8,transformersjs,openvino,openvino-bfloat16,openvino-int8,torch,torch-bfloat16',
    },
    only: { type: 'string', default: 'fixed,documents,query,memory,load,real' },
  },
});
/** Tokens a text, texts. */
const SMALL = [
  [32, 1],
  [32, 8],
  [32, 32],
  [128, 1],
  [128, 8],
  [256, 1],
  [256, 8],
];
const LARGE = [
  [32, 256],
  [128, 32],
  [128, 256],
  [256, 32],
  [256, 256],
];
const rounds = Number(options.rounds);
const sections = new Set(options.only.split(','));
const here = dirname(fileURLToPath(import.meta.url));
const { threads } = native.platform();
const python = process.env.FLES_BENCH_PYTHON;
const nodeModules = process.env.FLES_BENCH_NODE_MODULES;

const { name: vocabularyName, words } = vocabulary();
const model = sparseBertBase(words);
const onnx = join(model, 'onnx/model.onnx');
const onnxInt8 = join(model, 'onnx/model_quantized.onnx');
if (python && !existsSync(onnxInt8)) {
  const exported = spawnSync(python, [join(here, 'rivals/export_onnx.py'), model, onnx, onnxInt8], {
    stdio: 'inherit',
  });
  if (exported.status !== 0) console.error('no ONNX file: onnxruntime and OpenVINO are left out');
}

const script = (name) => join(here, 'rivals', name);
const node =
  (name, ...args) =>
  () =>
    new Contender(name, process.execPath, args);
const roster = {
  fles: node('fles', script('fles.mjs'), model, 'float32'),
  bfloat16: node('bfloat16', script('fles.mjs'), model, 'bfloat16'),
  int8: node('int8', script('fles.mjs'), model, 'int8'),
};
/** Which of our own a contender is held against: the one of its precision; ours of less precision against float32. */
const counterpart = (name) => (name === 'fles' ? undefined : (/-(bfloat16|int8)$/.exec(name)?.[1] ?? 'fles'));
if (nodeModules && existsSync(onnx)) {
  const args = [String(threads), nodeModules];
  roster.onnxruntime = node('onnxruntime', script('onnxruntime.mjs'), onnx, ...args);
  if (existsSync(onnxInt8)) {
    roster['onnxruntime-int8'] = node('onnxruntime-int8', script('onnxruntime.mjs'), onnxInt8, ...args);
  }
  if (existsSync(join(nodeModules, 'node_modules/@huggingface/transformers'))) {
    roster.transformersjs = node('transformersjs', script('transformersjs.mjs'), model, ...args);
  }
}
if (python) {
  const rival = (name, kind, file, dtype = 'float32') => {
    roster[name] = () => new Contender(name, python, [script('torch_openvino.py'), kind, file, String(threads), dtype]);
  };
  if (existsSync(onnx)) {
    rival('openvino', 'openvino', onnx);
    // OpenVINO has bfloat16 where the processor has instructions for it; PyTorch everywhere.
    if (native.platform().cpuLevels.some((level) => level.includes('bf16'))) {
      rival('openvino-bfloat16', 'openvino', onnx, 'bfloat16');
    }
  }
  if (existsSync(onnxInt8)) rival('openvino-int8', 'openvino', onnxInt8);
  rival('torch', 'torch', model);
  rival('torch-bfloat16', 'torch', model, 'bfloat16');
}

for (const name of Object.keys(roster)) {
  if (name !== 'fles' && !options.rivals.split(',').includes(name)) delete roster[name];
}

const tokenizer = await fles.Tokenizer.load(model);
const known = new Set(tokenizer.vocabulary);

/** A case as every contender takes it: our contender starts from texts, the others from their token ids. */
async function request(texts, maxLength, batchSize) {
  const { tokens, offsets } = await tokenizer.encodeBatch(texts, { maxLength });
  const rows = texts.map((_, i) => Array.from(tokens.subarray(offsets[i], offsets[i + 1])));
  return { texts, tokens: rows, maxLength, batchSize };
}

/** Multiply-adds of the network count 2; attention over each text's own length. */
function flopOf({ tokens }) {
  const [C, I, layers, V] = [768, 3072, 12, 30522];
  return tokens.reduce(
    (sum, { length: L }) => sum + L * (layers * (2 * C * (4 * C + 2 * I) + 4 * L * C) + 2 * C * C + 2 * C * V),
    0,
  );
}

async function withContenders(body, chosen = roster) {
  const contenders = Object.fromEntries(Object.entries(chosen).map(([name, start]) => [name, start()]));
  try {
    return await body(contenders);
  } finally {
    for (const contender of Object.values(contenders)) contender.stop();
  }
}

function compare(milliseconds, texts) {
  const row = { texts, contenders: {} };
  for (const [name, series] of Object.entries(milliseconds)) {
    row.contenders[name] = { milliseconds: summary(series), textsPerSecond: (texts / summary(series).median) * 1000 };
    const ours = milliseconds[counterpart(name)];
    if (ours) row.contenders[name].flesIsFaster = ratio(series, ours);
  }
  return row;
}

/** With `flop`, the processor also takes its turn at so many multiply-adds on registers: what fles reaches of that peak. */
async function timed(contenders, asked, flop) {
  const runs = Object.entries(contenders).map(([name, contender]) => [
    name,
    async () => (await contender.time(asked))[0],
  ]);
  if (flop) runs.splice(1, 0, ['peak', async () => flop / native.multiplyAddRate(flop) / 1e6]);
  const { peak, ...series } = await interleave(Object.fromEntries(runs), rounds);
  const row = compare(series, asked.texts.length);
  if (flop) row.contenders.fles.ofPeak = ratio(peak, series.fles);
  return row;
}

function print(title, row) {
  console.log(`\n${title}`);
  for (const [name, { milliseconds, textsPerSecond, flesIsFaster, ofPeak }] of Object.entries(row.contenders)) {
    const spread = `${milliseconds.low.toFixed(1)}..${milliseconds.high.toFixed(1)}`;
    const rival = flesIsFaster ? `  fles x ${flesIsFaster.median.toFixed(2)}` : '';
    const peak = ofPeak ? `  ${(100 * ofPeak.median).toFixed(0)}% of peak` : '';
    console.log(
      `  ${name.padEnd(16)} ${milliseconds.median.toFixed(1).padStart(9)} ms (${spread})  ${textsPerSecond.toFixed(2)} texts/s${rival}${peak}`,
    );
  }
}

const report = {
  ...provenance(),
  roofline: native.roofline(),
  rounds,
  weights: 'random',
  vocabulary: vocabularyName,
  sections: {},
};
console.log(
  `${report.cpu}, ${threads} threads, ${report.cpuLevel}: ${report.roofline.gflops.toFixed(0)} GFLOP/s float32, ${report.roofline.gbytes.toFixed(1)} GB/s`,
);

if (sections.has('fixed')) {
  report.sections.fixed = await withContenders(async (contenders) => {
    const rows = [];
    for (const [length, count] of [...SMALL, ...(options.large ? LARGE : [])]) {
      const asked = await request(fixedTexts(count, length, known), length, Math.min(count, 32));
      const flop = flopOf(asked);
      const row = { length, batch: count, gflop: flop / 1e9, ...(await timed(contenders, asked, flop)) };
      rows.push(row);
      print(`length ${length}, ${count} texts`, row);
    }
    return rows;
  });
}

if (sections.has('documents')) {
  const texts = nfcorpusTexts(options.large ? 64 : 32);
  if (texts === null) console.log('\nNFCorpus is left out: FLES_DATA does not name a folder with nfcorpus');
  else {
    report.sections.documents = await withContenders(async (contenders) => {
      const rows = [];
      for (const batchSize of options.large ? [8, 32] : [8]) {
        const asked = await request(texts, 256, batchSize);
        const row = {
          documents: texts.length,
          batch: batchSize,
          maxLength: 256,
          tokens: asked.tokens.flat().length / texts.length,
          terms: (await contenders.fles.ask(asked)).nnz / texts.length,
          ...(await timed(contenders, asked)),
        };
        rows.push(row);
        print(
          `${texts.length} NFCorpus documents as they are, cut at 256 tokens, batches of ${batchSize}; ${row.tokens.toFixed(0)} tokens and ${row.terms.toFixed(0)} terms each`,
          row,
        );
      }
      return rows;
    });
  }
}

if (sections.has('query')) {
  report.sections.query = await withContenders(async (contenders) => {
    const rows = [];
    const asked = { ...(await request(fixedTexts(1, 8, known), 8, 1)), repeat: 10 };
    for (const load of ['idle', 'loaded']) {
      const burners =
        load === 'loaded' ? Array.from({ length: threads }, () => spawn(process.execPath, ['-e', 'for(;;);'])) : [];
      const runs = Object.fromEntries(
        Object.entries(contenders).map(([name, contender]) => [name, async () => contender.time(asked)]),
      );
      const series = await interleave(runs, rounds * 2);
      for (const burner of burners) burner.kill();
      const row = { load, tokens: 8, contenders: {} };
      console.log(`\none query of 8 tokens, ${load}`);
      for (const [name, lists] of Object.entries(series)) {
        const all = lists.flat();
        row.contenders[name] = { p50: quantile(all, 0.5), p99: quantile(all, 0.99), runs: all.length };
        console.log(
          `  ${name.padEnd(16)} p50 ${quantile(all, 0.5).toFixed(2)} ms  p99 ${quantile(all, 0.99).toFixed(2)} ms`,
        );
      }
      rows.push(row);
    }
    return rows;
  });
}

if (sections.has('memory')) {
  const asked = await request(fixedTexts(32, 256, known), 256, 32);
  report.sections.memory = { texts: 32, length: 256, peakMb: {} };
  console.log('\npeak memory, 32 texts of 256 tokens');
  for (const [name, start] of Object.entries(roster)) {
    const contender = start();
    report.sections.memory.peakMb[name] = (await contender.ask(asked)).peakMb;
    contender.stop();
    console.log(`  ${name.padEnd(16)} ${report.sections.memory.peakMb[name].toFixed(0)} MB`);
  }
}

if (sections.has('load')) {
  const asked = await request(fixedTexts(1, 8, known), 8, 1);
  const runs = Object.fromEntries(
    Object.entries(roster).map(([name, start]) => [
      name,
      async () => {
        const begin = performance.now();
        const contender = start();
        await contender.ask(asked);
        const milliseconds = performance.now() - begin;
        contender.stop();
        return milliseconds;
      },
    ]),
  );
  const series = await interleave(runs, Math.min(rounds, 3));
  report.sections.load = compare(series, 1);
  print('process start to first vector, file cache warm', report.sections.load);
}

if (sections.has('real')) {
  const texts = nfcorpusTexts(256);
  const models = process.env.FLES_MODELS;
  const names = ['splade-tiny', 'minilm-l6-h384'].filter((name) => models && existsSync(join(models, name)));
  if (texts === null || names.length === 0) {
    console.log('\nreal models are left out: FLES_DATA names no folder with nfcorpus, or FLES_MODELS none with models');
  }
  report.sections.real = [];
  for (const name of texts === null ? [] : names) {
    const folder = join(models, name);
    const real = { fles: node('fles', script('fles.mjs'), folder, 'float32') };
    if (python) {
      const args = [script('st_encode.py'), folder, String(threads)];
      real['sentence-transformers'] = () => new Contender('sentence-transformers', python, args);
    }
    const asked = { texts, maxLength: 256, batchSize: 32 };
    const row = { model: name, documents: texts.length, ...(await withContenders((all) => timed(all, asked), real)) };
    report.sections.real.push(row);
    print(`${name}, ${texts.length} NFCorpus documents as they are, cut at 256 tokens, from texts`, row);
  }
}

if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
