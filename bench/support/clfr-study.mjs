// What the study of CLFR's laws compares, and its report.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const LAMBDA = 0.01;
/** What the last tenth of the run says is where it ends. */
const END_SHARE = 0.1;
/** A run has settled when it stays this near its target. */
const SETTLED = 0.1;

/**
 * What each run changes in the recipe. Open loops and closed ones begin with the same lambda, which a short run found to be about
 * right; the disturbed ones with ten times as much, or a tenth.
 *
 * `minilm` is another model, with a head that the recipe named by `head` trains first and whose bias is lowered until documents
 * have 400 terms. It learns from the scores of its own dense vectors too, whose cosines are divided by 0.05.
 *
 * `per-step` divides its gain by the 853 steps of an epoch; 8.53 makes its corrections over 50 steps those of the other laws.
 */
export const RUNS = {
  start: { label: 'splade-tiny as it is', settings: null },
  none: { label: 'none', settings: { 'clfr.law': 'none' } },
  quadratic: { label: 'quadratic warm-up', settings: { 'clfr.law': 'quadratic' } },
  'per-step': { label: 'per-step', settings: { 'clfr.law': 'per-step', 'clfr.gain': 8.53 } },
  interval: { label: 'interval (relative)', settings: { 'clfr.law': 'relative' } },
  pi: { label: 'pi', settings: { 'clfr.law': 'pi' } },
  adaptive: { label: 'adaptive', settings: { 'clfr.law': 'adaptive', 'clfr.gain': 1 } },
  'interval-high': {
    label: 'interval, lambda 10 x too high',
    settings: { 'clfr.law': 'relative', 'loss.flops.documents': 10 * LAMBDA },
  },
  'interval-low': {
    label: 'interval, lambda 10 x too low',
    settings: { 'clfr.law': 'relative', 'loss.flops.documents': LAMBDA / 10 },
  },
  'pi-high': {
    label: 'pi, lambda 10 x too high',
    settings: { 'clfr.law': 'pi', 'loss.flops.documents': 10 * LAMBDA },
  },
  'pi-low': {
    label: 'pi, lambda 10 x too low',
    settings: { 'clfr.law': 'pi', 'loss.flops.documents': LAMBDA / 10 },
  },
  'pi-bfloat16': { label: 'pi, bfloat16', settings: { 'clfr.law': 'pi', 'network.dtype': 'bfloat16' } },
  // The scale of the vectors is free then: FLOPS alone would shrink them, and the pull on the largest logits holds it.
  'pi-cosine': {
    label: 'pi, cosine',
    settings: {
      'clfr.law': 'pi',
      'loss.similarity': 'cos',
      'loss.temperature': 0.05,
      'loss.antiCollapse.weight': 1,
    },
  },
  minilm: {
    label: 'minilm-l6-h384, pi, 1,200 steps of 32',
    head: 'minilm-mlm',
    settings: {
      model: 'minilm-mlm',
      steps: 1200,
      'batch.queries': 32,
      'text.documentLength': 96,
      'optimizer.rate': 2e-4,
      'network.dtype': 'bfloat16',
      'network.startTerms': 400,
      'loss.flops.documents': LAMBDA / 10,
      'clfr.law': 'pi',
      'clfr.interval': 25,
      'clfr.window': 25,
      'evaluation.data': null,
      'checkpoint.every': 50,
      'loss.distillation.teacher': 'models/minilm-l6-h384',
      'loss.distillation.kl': 1,
      'loss.distillation.teacherTemperature': 0.05,
    },
  },
};

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The first step from which on every line of the log is near the target; null where the last one is not. */
function settledAt(steps, target) {
  const far = steps.findLastIndex(({ nnz }) => Math.abs(nnz.documents / target - 1) > SETTLED);
  return far === steps.length - 1 ? null : far === -1 ? 1 : steps[far].step + 1;
}

function read(results, name) {
  const test = JSON.parse(readFileSync(join(results, `${name}.test.json`), 'utf8')).rows[0];
  const path = join(results, `${name}.jsonl`);
  if (!existsSync(path)) return { test };
  const lines = readFileSync(path, 'utf8').trim().split('\n').map(JSON.parse);
  const of = (kind) => lines.filter((line) => line.kind === kind);
  const steps = of('step');
  const { target } = of('run')[0].config.clfr;
  const end = steps.filter(({ step }) => step > steps.at(-1).step * (1 - END_SHARE));
  return {
    test,
    target,
    terms: mean(end.map(({ nnz }) => nnz.documents)),
    settled: settledAt(steps, target),
    lambda: [of('run')[0].config.loss.flops.documents, end.at(-1).lambda.documents],
    adjustments: of('clfr').filter(({ of: which, before, after }) => which === 'documents' && before !== after).length,
    dev: of('evaluation').at(-1)?.metrics.ndcg_cut_10,
  };
}

const HEADER = [
  'law',
  'lambda, begin',
  'lambda, end',
  'terms, end',
  'off target',
  'within 10% from step',
  'adjustments',
];

function row(name, run) {
  const { label } = RUNS[name];
  const { test } = run;
  const quality = [run.dev?.toFixed(4) ?? '', test.metrics.ndcg_cut_10.toFixed(4), test.nnz.documents.toFixed(1)];
  if (run.target === undefined) return [label, '', '', '', '', '', '', ...quality];
  const { lambda, terms, target, settled, adjustments } = run;
  return [
    label,
    ...lambda.map((value) => value.toPrecision(3)),
    terms.toFixed(1),
    `${terms > target ? '+' : ''}${(100 * (terms / target - 1)).toFixed(1)}%`,
    settled === null ? 'never' : String(settled),
    String(adjustments),
    ...quality,
  ];
}

/** docs/clfr-study.md and the page of curves from the logs in `results`. */
export async function writeReport(root, results, fles) {
  const names = Object.keys(RUNS).filter((name) => existsSync(join(results, `${name}.test.json`)));
  const runs = names.map((name) => [name, read(results, name)]);
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const header = [...HEADER, 'nDCG@10 dev', 'nDCG@10 test', 'terms, NFCorpus'];
  const text = readFileSync(join(root, 'bench/clfr-study.template.md'), 'utf8');
  const table = [
    line(header),
    line(header.map((_, i) => (i === 0 ? '---' : '---:'))),
    ...runs.map((run) => line(row(...run))),
  ];
  writeFileSync(join(root, 'docs/clfr-study.md'), text.replace('{{table}}', table.join('\n')));
  const logs = names.filter((name) => RUNS[name].settings !== null).map((name) => join(results, `${name}.jsonl`));
  if (logs.length > 0) await fles(['report', ...logs, '--output', join(results, 'report.html')]);
}
