import { access, constants, readFile, rm } from 'node:fs/promises';
import { arch, cpus, platform, totalmem } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { checkArray, checkKeys, checkObject, checkString } from '../check';
import { fileError } from '../errors';
import { makeDirectory } from '../make-directory';
import { writeTextFile } from '../text/output-file';
import { version } from '../version';
import type { BeirDataset } from './beir';
import { COMPARE_KEYS, type CompareOptions, type ComparisonRow, checkDataset, compare } from './compare';
import type { System } from './systems';
import { indexesIn } from './temporary-index';
import { checkRunId, writeRun } from './trec';

/** Where the figures of a report come from. */
export interface Provenance {
  /** Directory of the data set, absolute. */
  dataset: string;
  split: string;
  /** The command line that made the report, null when it was made from a program. */
  command: string | null;
  versions: { fles: string; node: string };
  machine: { cpu: string; cores: number; memoryBytes: number; platform: string; architecture: string };
  /** ISO 8601, UTC. */
  date: string;
  /** Anything the caller adds: models, their settings. */
  [key: string]: unknown;
}

/** What report.json holds. */
export interface Report extends Provenance {
  rows: ComparisonRow[];
}

export interface WriteComparisonOptions extends CompareOptions {
  /** Added to the provenance; `command` belongs here. */
  provenance?: Record<string, unknown>;
  /** Called when a row is done and its run is written. */
  onRow?(row: ComparisonRow): void;
}

/**
 * Compares systems and writes into `directory`, which is made if need be: one run file a row as soon as it is done, then
 * `report.json` (a `Report`) and `report.md`. Files are written whole or not at all. Runs that an earlier report there lists and this
 * one does not are removed.
 *
 * The indexes of sparse systems stand in a folder below it meanwhile, unless `createSearcher` makes others.
 *
 * Throws what `compare` throws, and before anything is computed `ERR_FILE_*` for a directory that cannot be written and
 * `ERR_RUN_ID` for an id of a query or a document that a run file cannot hold.
 */
export async function writeComparison(
  directory: string,
  dataset: BeirDataset,
  systems: readonly System[],
  options: WriteComparisonOptions = {},
): Promise<Report> {
  checkKeys(options, [...COMPARE_KEYS, 'provenance', 'onRow']);
  checkString('the directory', directory);
  checkDataset(dataset);
  const { provenance, onRow, createSearcher = indexesIn(directory, options.signal), ...rest } = options;
  await makeDirectory(directory)
    .then(() => access(directory, constants.W_OK))
    .catch((error) => {
      throw fileError(error, directory);
    });
  const before = await earlierRuns(directory);
  const [queries, corpus] = ['queries.jsonl', 'corpus.jsonl'].map((name) => join(dataset.directory, name));
  for (const id of dataset.queries.keys()) checkRunId(id, 'a query id', queries);
  let record = 0;
  for await (const { id } of dataset.documents({ signal: options.signal })) {
    checkRunId(id, 'a document id', `${corpus}, document ${++record}`);
  }
  const rows: ComparisonRow[] = [];
  for await (const { row, run } of compare(dataset, systems, { ...rest, createSearcher })) {
    await writeRun(join(directory, runFileName(row)), run, { tag: runName(row) });
    rows.push(row);
    onRow?.(row);
  }
  const report = { rows, ...describe(dataset), ...provenance };
  await writeReport(directory, report);
  const now = new Set(rows.map(runFileName));
  for (const name of before) if (!now.has(name)) await rm(join(directory, name), { force: true });
  return report;
}

/** The names of the run files that a report in the folder lists; none where there is no report or it cannot be read. */
async function earlierRuns(directory: string): Promise<string[]> {
  try {
    const { rows } = JSON.parse(await readFile(join(directory, 'report.json'), 'utf8')) as Report;
    // A name that leads out of the folder is none that was written here.
    return rows.map(runFileName).filter((name) => name === basename(name));
  } catch {
    return [];
  }
}

/** Writes `report.json` and `report.md`. Throws `ERR_FILE_*`. */
export async function writeReport(directory: string, report: Report): Promise<void> {
  await writeTextFile(join(directory, 'report.json'), [`${JSON.stringify(report, undefined, 2)}\n`]);
  await writeTextFile(join(directory, 'report.md'), [markdown(report)]);
}

/** `NAME@THRESHOLD.trec`, or `NAME.trec` where no threshold is applied. */
export function runFileName(row: Pick<ComparisonRow, 'system' | 'threshold'>): string {
  return `${runName(row)}.trec`;
}

function runName({ system, threshold }: Pick<ComparisonRow, 'system' | 'threshold'>): string {
  return threshold === null ? system : `${system}@${threshold}`;
}

function describe(dataset: BeirDataset): Provenance {
  const processors = cpus();
  return {
    dataset: resolve(dataset.directory),
    split: dataset.split,
    command: null,
    versions: { fles: version, node: process.versions.node },
    machine: {
      cpu: processors[0]?.model.trim() ?? 'unknown',
      cores: processors.length,
      memoryBytes: totalmem(),
      platform: platform(),
      architecture: arch(),
    },
    date: new Date().toISOString(),
  };
}

function markdown(report: Report): string {
  const { rows, machine } = report;
  const facts = [
    `Data: ${report.dataset}, split ${report.split}`,
    ...(report.command ? [`Command: \`${report.command}\``] : []),
    `Versions: fles ${report.versions.fles}, node ${report.versions.node}`,
    `Machine: ${machine.cpu}, ${machine.cores} cores, ${Math.round(machine.memoryBytes / 2 ** 30)} GiB, ${machine.platform} ${machine.architecture}`,
    `Date: ${report.date}`,
  ];
  return [
    `# ${basename(report.dataset)}, ${report.split}`,
    markdownTable(rows),
    'Means over all judged queries, by the rules of trec_eval 9.0.8. NNZ: mean number of non-zero terms. FLOPS: expected products of a query with a document. Queries/s: search alone, without encoding.',
    [...reportNotes(rows), ...facts].map((line) => `- ${line}`).join('\n'),
  ]
    .map((part) => `${part}\n`)
    .join('\n');
}

/** What the table does not show: judged queries without results, and how many terms BM25 has indexed. */
export function reportNotes(rows: readonly ComparisonRow[]): string[] {
  const unanswered = checkRows(rows)
    .filter((row) => row.unanswered > 0)
    .map((row) => `${runName(row)}: ${row.unanswered} of ${row.queries} judged queries have no results and count 0`);
  const terms = rows
    .filter((row) => row.terms !== null)
    .map((row) => {
      const fields = Object.entries(row.terms!).map(([field, count]) => `${count.toLocaleString('en')} in ${field}`);
      return `${runName(row)}: ${row.documents.toLocaleString('en')} documents; terms: ${fields.join(', ')}`;
    });
  return [...unanswered, ...terms];
}

/** The rows as a Markdown table whose columns are padded, so that it reads well on a terminal too. */
export function markdownTable(rows: readonly ComparisonRow[]): string {
  const metrics = Object.keys(checkRows(rows)[0]?.metrics ?? {});
  const header = [
    ...['System', 'Threshold', ...metrics.map(metricLabel)],
    ...['NNZ documents', 'NNZ queries', 'FLOPS', 'Index MB', 'Queries/s'],
  ];
  const cells = rows.map((row) => [
    row.system,
    row.threshold === null ? '' : String(row.threshold),
    ...metrics.map((name) => row.metrics[name]!.toFixed(4)),
    fixed(row.nnz?.documents, 1),
    fixed(row.nnz?.queries, 1),
    fixed(row.flops, 2),
    fixed(row.indexBytes && row.indexBytes.total / 1e6, 2),
    fixed(row.queries / row.seconds.search, 0),
  ]);
  const widths = header.map((title, i) => Math.max(title.length, ...cells.map((line) => line[i]!.length)));
  const line = (values: string[]) =>
    `| ${values.map((value, i) => (i === 0 ? value.padEnd(widths[i]!) : value.padStart(widths[i]!))).join(' | ')} |`;
  const rule = widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(header), line(rule), ...cells.map(line)].join('\n');
}

/** What a row must have to be shown. */
const ROW_MEMBERS = ['system', 'threshold', 'metrics', 'seconds', 'queries', 'unanswered', 'terms', 'documents'];

function checkRows(rows: readonly ComparisonRow[]): readonly ComparisonRow[] {
  for (const [i, row] of checkArray('rows', rows, 'rows of a comparison').entries()) {
    checkObject(`rows[${i}]`, row, 'a row of a comparison', ROW_MEMBERS);
  }
  return rows;
}

function fixed(value: number | null | undefined, digits: number): string {
  return value === null || value === undefined ? '' : value.toFixed(digits);
}

/** `nDCG@10` for `ndcg_cut_10`. */
function metricLabel(name: string): string {
  const [, stem = name, cut] = /^(.*?)(?:_(\d+))?$/.exec(name) ?? [];
  const labels: Record<string, string> = {
    ndcg: 'nDCG',
    ndcg_cut: 'nDCG',
    map: 'MAP',
    map_cut: 'MAP',
    recip_rank: 'MRR',
    recall: 'Recall',
    success: 'Success',
  };
  return `${labels[stem] ?? stem}${cut ? `@${cut}` : ''}`;
}
