import { readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { checkString, checkStrings } from '../check';
import { FlesError, fileError } from '../errors';
import { writeTextFile } from '../text/output-file';
import type { TrainConfig } from './config';
import { type EvaluationLine, type LogLine, METRICS_FILE, readLog, type StepLine } from './run-log';

/** A run as a report shows it. */
export interface ReportRun {
  name: string;
  steps: StepLine[];
  decisions: Extract<LogLine, { kind: 'clfr' }>[];
  evaluations: EvaluationLine[];
  /** What the run was begun with; absent in a log that was cut off at its start. */
  run?: Extract<LogLine, { kind: 'run' }>;
}

/** Points of a line of a plot. */
interface Line {
  label: string;
  colour: string;
  steps: number[];
  values: number[];
  dashed?: boolean;
  points?: boolean;
}

interface Plot {
  title: string;
  log?: boolean;
  lines: Line[];
}

/** Told apart on light and on dark ground, also by those who do not tell red from green (Okabe and Ito 2008). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#8c6bb1', '#7f7f7f'];
/** Points of a line; more are not to be seen. */
const MOST_POINTS = 1500;
/** Share of the steps at the end over which the table takes means. */
const END_SHARE = 0.1;

/**
 * Writes one HTML page that needs nothing else: a table of the runs and their curves, laid over each other.
 *
 * @param directories output folders of runs, or their logs
 * @throws FlesError `ERR_REPORT_EMPTY` for no run at all and for a log without a step, `ERR_FILE_*`
 */
export async function writeTrainReport(path: string, directories: readonly string[]): Promise<void> {
  checkString('path', path);
  await writeTextFile(path, [await trainReport(directories)]);
}

/** The page that `writeTrainReport` writes. */
export async function trainReport(directories: readonly string[]): Promise<string> {
  if (checkStrings('directories', directories).length === 0) {
    throw new FlesError('ERR_REPORT_EMPTY', 'there are 0 runs to report on, expected 1 or more');
  }
  const names = runNames(directories);
  const runs = await Promise.all(directories.map((directory, i) => readRun(directory, names[i]!)));
  return reportPage(runs);
}

async function readRun(directory: string, name: string): Promise<ReportRun> {
  const path = directory.endsWith('.jsonl') ? directory : join(directory, METRICS_FILE);
  const lines = await readLog(path);
  const of = <K extends LogLine['kind']>(kind: K) =>
    lines.filter((line): line is Extract<LogLine, { kind: K }> => line.kind === kind);
  const steps = of('step');
  if (steps.length === 0) {
    throw new FlesError('ERR_REPORT_EMPTY', `${path} has no line of a step yet, expected 1 or more; train on`);
  }
  return { name, steps, decisions: of('clfr'), evaluations: of('evaluation'), run: of('run')[0] };
}

/** The names of the folders, with as much of the path before them as tells them apart. */
function runNames(directories: readonly string[]): string[] {
  const paths = directories.map((directory) => resolve(directory).split(/[/\\]/));
  for (let depth = 1; ; depth++) {
    const names = paths.map((parts) => parts.slice(-depth).join('/'));
    if (new Set(names).size === names.length || depth > 20) return names;
  }
}

async function reportPage(runs: readonly ReportRun[]): Promise<string> {
  const assets = join(__dirname, '../../assets/report');
  const [style, plotStyle, plotScript, script] = await Promise.all([
    read(join(assets, 'report.css')),
    read(require.resolve('uplot/dist/uPlot.min.css')),
    read(require.resolve('uplot/dist/uPlot.iife.min.js')),
    read(join(assets, 'report.js')),
  ]);
  const plots = plotsOf(runs).filter(({ lines }) => lines.length > 0);
  const title = runs.map(({ name }) => name).join(', ');
  // A script ends at the first "</script", wherever it stands.
  const inline = (text: string) => text.replaceAll('</', '<\\/');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>${plotStyle}${style}</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(described(runs[0]!))}</p>
<div class="table">${table(runs)}</div>
<div class="plots"></div>
<script type="application/json" id="report">${inline(JSON.stringify({ plots }))}</script>
<script>${inline(plotScript)}</script>
<script>${inline(script)}</script>
</body>
</html>
`;
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw fileError(error, path);
  }
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]!);
}

function described({ run }: ReportRun): string {
  if (!run) return '';
  const { model, data, seed } = run.config;
  const date = new Date(run.time * 1000).toISOString().slice(0, 16).replace('T', ' ');
  return `from ${basename(model)} on ${data.paths.map((path) => basename(path)).join(', ')}, seed ${seed}; begun ${date} UTC; fles ${run.fles}`;
}

function table(runs: readonly ReportRun[]): string {
  const metric = metricOf(runs);
  const header = [
    ...['run', 'law', 'steps', 'target', 'terms a document', 'off target', 'terms a query', 'lambda', 'adjustments'],
    ...[`best ${metric}`, 'at step', 'last', 'examples/s'],
  ];
  const rows = runs.map((run, i) => {
    const { steps, decisions, evaluations } = run;
    const clfr = controlOf(run);
    const last = steps.at(-1)!;
    const end = steps.filter(({ step }) => step > last.step * (1 - END_SHARE));
    const terms = mean(end.map(({ nnz }) => nnz?.documents));
    const held = isClosed(clfr) && clfr!.measure === 'nnz';
    const best = evaluations.filter((line) => line.best).at(-1);
    return [
      `<span class="key" style="background:${colourOf(i)}"></span>${escapeHtml(run.name)}`,
      clfr?.law ?? '',
      String(last.step),
      clfr ? String(clfr.target) : '',
      fixed(terms, 1),
      held && terms !== undefined ? `${fixed((terms / clfr!.target - 1) * 100, 1)}%` : '',
      fixed(mean(end.map(({ nnz }) => nnz?.queries)), 1),
      last.lambda ? last.lambda.documents.toPrecision(3) : '',
      String(decisions.filter(({ of, before, after }) => of === 'documents' && before !== after).length),
      fixed(best?.metrics[metric], 4),
      best ? String(best.step) : '',
      fixed(evaluations.at(-1)?.metrics[metric], 4),
      fixed(median(steps.map(({ examplesPerSecond }) => examplesPerSecond)), 1),
    ];
  });
  const line = (tag: string, cells: string[]) => `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`;
  return `<table>${line('th', header.map(escapeHtml))}${rows.map((row) => line('td', row)).join('')}</table>`;
}

function metricOf(runs: readonly ReportRun[]): string {
  return runs.find(({ run }) => run !== undefined)?.run?.config.evaluation.metric ?? 'ndcg_cut_10';
}

function plotsOf(runs: readonly ReportRun[]): Plot[] {
  const plot = (title: string, value: (line: StepLine) => number | undefined, log = false): Plot => ({
    title,
    log,
    lines: runs.flatMap((run, i) => lineOf(run.name, i, run.steps, value)),
  });
  const terms = [...new Set(runs.flatMap(({ steps }) => steps.flatMap((line) => Object.keys(line.terms))))];
  const documents = plot('Terms a document', (line) => line.nnz?.documents);
  documents.lines.push(...targetLines(runs, 'nnz'));
  const products: Plot = {
    title: 'Products a query-document pair, as the controller sees them',
    lines: runs.flatMap(({ name, decisions }, i) => {
      const own = decisions.filter(({ of, measure }) => of === 'documents' && measure === 'flops');
      return lineOf(name, i, own, ({ value }) => value, true);
    }),
  };
  products.lines.push(...targetLines(runs, 'flops'));
  const metric = metricOf(runs);
  return [
    documents,
    products,
    plot('lambda of the documents', (line) => line.lambda?.documents || undefined, true),
    {
      title: `${metric} of the evaluations`,
      lines: runs.flatMap((run, i) => lineOf(run.name, i, run.evaluations, ({ metrics }) => metrics[metric], true)),
    },
    plot('Loss', ({ loss }) => loss),
    ...terms.map((term) => plot(`Loss: ${term}`, (line) => line.terms[term]?.value)),
    plot('Share of hidden words filled in', ({ accuracy }) => accuracy),
    plot('Terms a query', (line) => line.nnz?.queries),
    plot('Norm of the gradient', ({ gradientNorm }) => gradientNorm || undefined, true),
    plot('Learning rate', ({ rate }) => rate),
  ];
}

/** What the controllers hold, a line for each target that there is. */
function targetLines(runs: readonly ReportRun[], measure: 'nnz' | 'flops'): Line[] {
  const held = runs.filter((run) => isClosed(controlOf(run)) && controlOf(run)!.measure === measure);
  const targets = [...new Set(held.map((run) => controlOf(run)!.target))];
  const last = Math.max(...held.map(({ steps }) => steps.at(-1)!.step));
  return targets.map((target) => ({
    label: targets.length === 1 ? 'target' : `target ${target}`,
    colour: '#7f7f7f',
    steps: [1, last],
    values: [target, target],
    dashed: true,
  }));
}

/** What held the terms of a run, if it counted any: masked language modelling has none. */
function controlOf({ run }: ReportRun): TrainConfig['clfr'] | undefined {
  return run === undefined || run.config.task === 'mlm' ? undefined : run.config.clfr;
}

function isClosed(clfr: { law: string } | undefined): boolean {
  return clfr !== undefined && clfr.law !== 'none' && clfr.law !== 'quadratic';
}

/** The line of a run, thinned out; none where it has no values. */
function lineOf<T extends { step: number }>(
  label: string,
  run: number,
  items: readonly T[],
  value: (item: T) => number | undefined,
  points = false,
): Line[] {
  const seen = items.filter((item) => Number.isFinite(value(item)));
  if (seen.length === 0) return [];
  const every = Math.ceil(seen.length / MOST_POINTS);
  const kept = seen.filter((_, i) => i % every === 0 || i === seen.length - 1);
  // Six digits: the page holds thousands of them.
  const values = kept.map((item) => Number(value(item)!.toPrecision(6)));
  return [{ label, colour: colourOf(run), steps: kept.map(({ step }) => step), values, points }];
}

function colourOf(run: number): string {
  return COLOURS[run % COLOURS.length]!;
}

function mean(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0) / known.length;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

function fixed(value: number | undefined, digits: number): string {
  return value === undefined ? '' : value.toFixed(digits);
}
