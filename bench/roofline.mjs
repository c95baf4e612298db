// Writes docs/roofline.md: what a roofline model predicts for the CUDA backend on A100 and H100. Nothing is measured.
// The ops are those of support/cuda-steps.mjs, their launches those of support/cuda-kernels.mjs, the arithmetic that of
// support/roofline-model.mjs, and blocks and occupancy those of cuda/budgets.json.
//
//   npm run bench:roofline
import { writeFileSync } from 'node:fs';
import { ARCHITECTURES } from '../scripts/cuda/kernels.mjs';
import { budgetOf } from './support/cuda-budgets.mjs';
import { headScratch, launchesOf } from './support/cuda-kernels.mjs';
import { automaticTokens, BERT_BASE, batchOf, encodeBatch, times, trainingStep } from './support/cuda-steps.mjs';
import { CHANGES, NOTES } from './support/roofline-changes.mjs';
import { DEVICES, LAUNCH, SHARES, secondsOf, summarize, timeOf, WAIT } from './support/roofline-model.mjs';

const STEPS = 12_500;
const BUDGET_HOURS = 2;
/** Terms of a text at which the relative law gives the published update of lambda, 3.0e-5 to 3.4e-5 at a target of 400. */
const ACTIVE_TERMS = 933;
/** Tokens of NFCorpus documents at 32 evenly spaced quantiles, cut at 256: 242.3 on average, as are all 3,633. */
const NFCORPUS = [110, 153, 178, 203, 221, 237, 253, ...times(25, 256)];
const devices = [DEVICES.A100, DEVICES.H100];

const lines = [];
const say = (...more) => lines.push(...more);
function table(header, rows) {
  say(`| ${header.join(' | ')} |`, `|---|${'---:|'.repeat(header.length - 1)}`);
  say(...rows.map((row) => `| ${row.join(' | ')} |`), '');
}
const sumOf = (buffers) => Object.values(buffers).reduce((sum, bytes) => sum + bytes, 0);
const whole = (x) => Math.round(x).toLocaleString('en-US');
const ms = (seconds, digits = 1) => (1e3 * seconds).toFixed(digits);
const UNITS = {
  dram: 'memory',
  l2: 'L2 cache',
  shared: 'shared memory',
  issue: 'instructions',
  fp32: 'float32',
  tf32: 'tensor cores',
  bf16: 'tensor cores',
  int8: 'tensor cores',
};
const unit = (name) => UNITS[name] ?? name;

const byKernel = ({ kernel }) => `\`${kernel}\``;

/** Launches added up by a key, on every device, in the order of their time on the first; the `most` first rows. */
function breakdown(title, launches, keyOf, most) {
  const summaries = devices.map((device) => summarize(device, launches, keyOf));
  const total = secondsOf(devices[0], launches);
  table(
    [
      title,
      'launches',
      'GB',
      'TFLOP',
      ...devices.flatMap(({ name }) => [`${name}, ms`, 'bound']),
      `share on ${devices[0].name}`,
    ],
    summaries[0].slice(0, most).map((row) => [
      row.key,
      whole(row.launches),
      (row.dram / 1e9).toFixed(2),
      (row.operations / 1e12).toFixed(3),
      ...summaries.flatMap((rows) => {
        const { seconds, bound } = rows.find(({ key }) => key === row.key);
        return [ms(seconds, 2), unit(bound)];
      }),
      `${Math.round((100 * row.seconds) / total)}%`,
    ]),
  );
}

const step = (options) => {
  const { ops, ...facts } = trainingStep({ activeTerms: ACTIVE_TERMS, type: 'float32', ...options });
  return { ...facts, launches: launchesOf(ops, budgetOf) };
};
const limits = { queries: times(32, 64), documents: times(256, 256) };
const half = { queries: times(32, 32), documents: times(256, 128) };

/** The longest documents with which the run takes no more than the budget; queries have a quarter of their tokens. */
function longestInBudget(device) {
  const fits = (length) => {
    const { launches } = step({ queries: times(32, Math.ceil(length / 4)), documents: times(256, length) });
    return STEPS * secondsOf(device, launches) <= 3600 * BUDGET_HOURS;
  };
  let length = 16;
  while (length < 512 && fits(length + 16)) length += 16;
  return length;
}

function introduction() {
  const percent = (share) => `${Math.round(100 * share)}%`;
  const pair = (shares) => ARCHITECTURES.map((name) => percent(shares[name])).join(' / ');
  say(
    '# Predicted performance of the CUDA backend',
    '',
    '**Every time on this page is PREDICTED by a model. None has been measured, and no GPU was used.** Made by',
    '`npm run bench:roofline` from the ops that a step runs, what each kernel has to read, write, issue and multiply, and the',
    'registers, shared memory and loops in `cuda/budgets.json`. A prediction is good for finding what dominates and what a change is',
    'worth; it may well be wrong by half.',
    '',
    '## Assumptions',
    '',
    "Peaks are those of NVIDIA's data sheets (A100 80 GB SXM; H100 SXM5), without sparsity.",
    '',
  );
  table(
    ['', ...devices.map(({ name }) => name), 'share of it that kernels reach'],
    [
      ['float32, TFLOP/s', 'fp32', percent(SHARES.fp32)],
      ['TF32', 'tf32', `cuBLAS ${pair(SHARES.cublas)}, own kernels (mma.sync) ${pair(SHARES.mma)}`],
      ['bfloat16', 'bf16', 'the same'],
      ['int8, TOP/s', 'int8', 'the same'],
      ['memory, GB/s', 'dram', percent(SHARES.dram)],
    ].map(([label, key, share]) => [label, ...devices.map((one) => one[key] / (key === 'dram' ? 1e9 : 1e12)), share]),
  );
  say(
    `The L2 cache (40 and 50 MB) gives 5,120 bytes a cycle (${percent(SHARES.l2)} of it), shared memory 128 bytes a cycle and`,
    `multiprocessor (${percent(SHARES.shared)}). A multiprocessor issues four instructions a cycle; a warp fills every fourth cycle of its`,
    `scheduler, so that few warps leave it idle, and ${percent(SHARES.issueAtMost)} is the most. A launch costs ${LAUNCH * 1e6} microseconds on top of its kernel, a wait of`,
    `the host ${WAIT * 1e6} more. Matrices that pass from one kernel to the next come from memory.`,
    'cuBLASLt is taken to be there, and what it does within a product to cost no more than the memory that it reads.',
    '',
  );
}

function training() {
  say(
    '## A training step of `v12b` (PREDICTED)',
    '',
    `BERT-base, 32 queries with 8 documents each, dropout 0.1, ${ACTIVE_TERMS} terms a text with a gradient. Half of 80 GB`,
    `holds the activations of ${whole(automaticTokens(BERT_BASE))} tokens, which is then the size of a micro-batch. The published run is ${whole(STEPS)} such steps in about ${BUDGET_HOURS} hours on`,
    'one A100; how long its texts were is not published, so that two lengths stand here.',
    '',
  );
  const cases = [
    ['limits of the preset: 64 and 256 tokens', 'float32', limits],
    ['half of them: 32 and 128', 'float32', half],
    ['64 and 256', 'bfloat16', limits],
  ].map(([label, type, texts]) => [label, type, step({ ...texts, type })]);
  table(
    [
      'queries and documents',
      'type',
      'tokens',
      'micro-batches',
      'launches',
      ...devices.flatMap((d) => [`${d.name}, ms a step`, 'hours']),
    ],
    cases.map(([label, type, { tokens, micros, launches }]) => [
      label,
      type,
      whole(tokens),
      micros,
      whole(launches.length),
      ...devices.flatMap((device) => {
        const seconds = secondsOf(device, launches);
        return [ms(seconds, 0), ((STEPS * seconds) / 3600).toFixed(1)];
      }),
    ]),
  );
  const [a100, h100] = devices.map(longestInBudget);
  say(
    `All of it PREDICTED. ${BUDGET_HOURS} hours are enough for documents of ${a100} tokens on A100 and ${h100} on H100.`,
    '',
  );

  const { launches } = cases[0][2];
  say('### Where the time goes (PREDICTED; float32, 64 and 256 tokens)', '');
  breakdown('part', launches, ({ phase }) => phase);
  breakdown('kernel', launches, byKernel, 24);
}

function changes() {
  say('### What would move it (PREDICTED; the same step)', '');
  const base = step(limits).launches;
  const rows = CHANGES.map(([label, options, change]) => {
    const launches = change(step({ ...limits, ...options }).launches);
    return [
      label,
      whole(launches.length),
      ...devices.flatMap((device) => {
        const [before, after] = [base, launches].map((all) => secondsOf(device, all));
        return [ms(after, 0), `${Math.round((100 * (after - before)) / before)}%`];
      }),
    ];
  });
  table(['change', 'launches', ...devices.flatMap(({ name }) => [`${name}, ms a step`, 'change'])], rows);
  say(...NOTES, '');
}

function encoding() {
  say(
    '## A batch of the encoder (PREDICTED)',
    '',
    '32 documents, every term kept that is above 0 (200 a document). NFCorpus: documents cut at 256 tokens, 242.3 on average.',
    '',
  );
  const rows = [
    ['32 x 128 tokens', times(32, 128)],
    ['NFCorpus', NFCORPUS],
  ].flatMap(([label, lengths]) =>
    ['float32', 'bfloat16', 'int8'].map((type) => {
      const launches = launchesOf(encodeBatch({ lengths, type, keptTerms: 200 }).ops, budgetOf);
      const times = devices.flatMap((device) => {
        const seconds = secondsOf(device, launches);
        const [most, next] = summarize(device, launches, byKernel);
        return [ms(seconds), whole(lengths.length / seconds), `${most.key}, ${next.key}`];
      });
      return [label, type, launches.length, ...times];
    }),
  );
  table(
    ['batch', 'type', 'launches', ...devices.flatMap(({ name }) => [`${name}, ms`, 'documents/s', 'most of it'])],
    rows,
  );
  say('Its kernels, for NFCorpus in float32:', '');
  const { ops } = encodeBatch({ lengths: NFCORPUS, type: 'float32', keptTerms: 200 });
  breakdown('kernel', launchesOf(ops, budgetOf), byKernel);
}

/** The shape that Sparton reports, and its figures. */
const SPARTON = { forward: 0.9, both: 2.325, extraMiB: 9.86 };

function head() {
  const { C, V } = BERT_BASE;
  const batch = batchOf(times(32, 128));
  const { B } = batch;
  say(
    '## The sparse head (times PREDICTED)',
    '',
    `${B} texts of 128 tokens, ${C} columns, ${whole(V)} terms, the shape at which Sparton (arXiv:2603.25011) reports ${SPARTON.forward.toFixed(3)} ms forward,`,
    `${SPARTON.both} ms forward and backward, and ${SPARTON.extraMiB} MiB of extra memory, measured on a desktop card in float16. Ours are PREDICTED, on other`,
    'cards: the numbers do not say which is faster. Backward depends on how many terms of a text have a gradient.',
    '',
  );
  const forward = (type) => launchesOf([{ op: 'sparse_head', ...batch, C, V, type, argmax: true }], budgetOf);
  const backward = (activeTerms) => launchesOf([{ op: 'sparse_head_backward', ...batch, C, V, activeTerms }], budgetOf);
  table(
    [
      'type',
      ...devices.flatMap(({ name }) => [
        `${name}: forward, ms`,
        'bound',
        `and backward, ${ACTIVE_TERMS} terms`,
        'and backward, all terms',
      ]),
    ],
    ['float32', 'bfloat16', 'int8'].map((type) => [
      type,
      ...devices.flatMap((device) => {
        const own = forward(type);
        const seconds = secondsOf(device, own);
        const { bound } = timeOf(device, own.at(-1));
        const both = [ACTIVE_TERMS, V].map((terms) => ms(seconds + secondsOf(device, backward(terms)), 3));
        return [ms(seconds, 3), unit(bound), ...(type === 'int8' ? ['', ''] : both)];
      }),
    ]),
  );

  say(
    '### Extra memory, exactly',
    '',
    'What the op takes from scratch memory beside what it is given and gives back, against the outputs of the head: the pooled',
    'values and, in training, their rows. It may be 1.0 times as much at most. (Buffers begin at multiples of 256 bytes.)',
    '',
  );
  const pooled = 4 * B * V;
  const scratch = (type) => headScratch({ lengths: batch.lengths, C, V, type });
  const rows = [
    ['forward in training, float32', scratch('float32').forward, 2 * pooled],
    ['forward in training, bfloat16', scratch('bfloat16').forward, 2 * pooled],
    ['forward in the encoder, bfloat16', scratch('bfloat16').forward, pooled],
    ['forward in the encoder, int8', scratch('int8').forward, pooled],
    ['backward, max', scratch('float32').backward, 2 * pooled],
    ['backward, sums', scratch('float32').backwardOfSums, pooled],
  ];
  table(
    ['direction', 'scratch', 'outputs, bytes', 'extra, bytes', 'MiB', 'times the outputs'],
    rows.map(([label, buffers, outputs]) => {
      const own = Object.entries(buffers).filter(([, bytes]) => bytes > 0);
      const extra = sumOf(buffers);
      const ratio = extra / outputs;
      return [
        label,
        own.map(([name, bytes]) => `${name} ${whole(bytes)}`).join(', '),
        whole(outputs),
        whole(extra),
        (extra / 2 ** 20).toFixed(2),
        `${ratio.toFixed(3)}${ratio > 1 ? ' **too much**' : ''}`,
      ];
    }),
  );
  say(
    '- Input that is converted, to bfloat16 or int8, is converted in bands of whole texts that take no more memory than the pooled',
    '  values, each before its launch of the kernel.',
    `- Not counted, because it lasts: a float32 trainer and encoder keep a packed copy of the decoder (${whole(4 * V * C)} bytes) that is the`,
    '  same as its weights.',
    '',
  );
}

introduction();
training();
changes();
encoding();
head();
writeFileSync(new URL('../docs/roofline.md', import.meta.url), `${lines.join('\n').trimEnd()}\n`);
console.log('wrote docs/roofline.md: predictions, nothing was measured');
