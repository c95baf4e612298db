import { join } from 'node:path';
import { Command } from 'commander';
import { FlesError } from '../errors';
import { readBeir } from '../eval/beir';
import { evaluate } from '../eval/evaluate';
import { markdownTable, reportNotes, writeComparison } from '../eval/report';
import { readQrels, readRun } from '../eval/trec';
import { addDeviceOptions, type EncoderOptions, flag, refuseEncoderOptions } from './encoder-options';
import { list, number } from './option-parsers';
import { writeStdout } from './output';
import { type NamedSystem, openSystems, parseSystem } from './systems';
import type { Progress, Session } from './terminal';
import { openInput } from './text-input';

interface Options extends EncoderOptions {
  data?: string;
  split?: string;
  systems?: string[];
  thresholds?: number[];
  keepSameId?: boolean;
  output?: string;
  qrels?: string;
  run?: string;
  perQuery?: boolean;
  json?: boolean;
  metrics?: string[];
}

/** `fles eval`: systems compared on a data set, or a run against judgements. */
export function evalCommand(session: Session): Command {
  const command = new Command('eval')
    .summary('compare systems on a data set, or score a run')
    .description(
      'With --data: compares systems on a folder in BEIR layout, prints a table, and writes report.md, report.json and the runs to --output. With --qrels and --run: scores any run by the rules of trec_eval 9.0.8.',
    )
    .option('--data <dir>', 'folder with corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv')
    .option('--split <name>', 'which judgements of --data to use (default: test)')
    .option(
      '--systems <list>',
      'bm25, bm25-multifield and NAME=MODEL, between commas; MODEL is a folder or a hub id (default: bm25,bm25-multifield)',
      list(String),
    )
    .option(
      '--thresholds <list>',
      'a row for each: keep terms whose weight is above it, of documents and queries alike (default: 0)',
      list(number(0, 3.4e38)),
    )
    .option('--keep-same-id', 'keep a document whose id equals that of the query, which BEIR drops')
    .option('--output <dir>', 'folder for the report and the runs')
    .option(
      '--qrels <file>',
      'judgements, in four columns as TREC has them or three as BEIR has them; - for standard input',
    )
    .option('--run <file>', 'run in the six columns of TREC; - for standard input')
    .option('--per-query', 'print the values of every query as well')
    .option('--json', 'print one JSON object')
    .option('--metrics <list>', 'names of trec_eval, such as ndcg_cut_20,P_5', list(String));
  return addDeviceOptions(command)
    .addHelpText(
      'after',
      '\nExamples:\n  fles eval --data nfcorpus --systems bm25,splade=rasyosef/splade-tiny --thresholds 0,0.3 --output report\n' +
        '  fles eval --qrels qrels/test.tsv --run run.trec --json',
    )
    .action((options: Options, command: Command) => {
      const scores = only(options, ['qrels', 'run'], ['perQuery', 'json']);
      const compares = only(options, ['data', 'output'], ['split', 'systems', 'thresholds', 'keepSameId']);
      if (scores === compares) {
        throw new FlesError(
          'ERR_USAGE',
          'expected either --data and --output, or --qrels and --run; see fles eval --help',
        );
      }
      const named = (options.systems ?? ['bm25', 'bm25-multifield']).map(parseSystem);
      if (scores || named.every(({ model }) => model === undefined)) {
        refuseEncoderOptions(command, '--data and a model (NAME=MODEL) among --systems');
      }
      return scores ? scoreRun(options, session) : compareSystems(named, options, session);
    });
}

/** Whether all of `needed` were given; refuses a part of them, or `extras` without them. */
function only(options: Options, needed: (keyof Options)[], extras: (keyof Options)[]): boolean {
  const missing = needed.filter((name) => options[name] === undefined);
  const stray = [...needed, ...extras].find((name) => options[name] !== undefined);
  if (missing.length > 0 && stray !== undefined) {
    throw new FlesError('ERR_USAGE', `${flag(stray)} needs ${missing.map(flag).join(' and ')}; see fles eval --help`);
  }
  return missing.length === 0;
}

async function scoreRun({ qrels, run, perQuery, json, metrics }: Options, session: Session): Promise<void> {
  if (qrels === '-' && run === '-') {
    throw new FlesError('ERR_USAGE', '--qrels and --run are both standard input, expected a file for one of them');
  }
  const [judgements, found] = [openInput(qrels!, session), openInput(run!, session)];
  const { signal } = session;
  const judged = await readQrels(judgements.source, { name: judgements.name, signal });
  const answers = await readRun(found.source, { name: found.name, signal });
  const result = evaluate(judged, answers, { metrics, perQuery });
  if (result.unjudged > 0) {
    const doubt = result.unanswered.length === result.queries ? ': do the ids match?' : '';
    session.note(`${result.unjudged} of ${answers.size} queries of the run are not judged and do not count${doubt}`);
  }
  if (result.unanswered.length > 0) {
    session.note(`${result.unanswered.length} of ${result.queries} judged queries have no results and count 0`);
  }
  if (json) {
    const queries = result.perQuery && { perQuery: Object.fromEntries(result.perQuery) };
    return writeStdout([`${JSON.stringify({ ...result.metrics, ...queries })}\n`]);
  }
  const lines = (query: string, values: Record<string, number>) =>
    Object.entries(values).map(([name, value]) => `${name.padEnd(16)}\t${query}\t${value.toFixed(4)}\n`);
  const perQueryLines = [...(result.perQuery ?? [])].flatMap(([query, values]) => lines(query, values));
  await writeStdout([...perQueryLines, ...lines('all', result.metrics)]);
}

async function compareSystems(named: readonly NamedSystem[], options: Options, session: Session): Promise<void> {
  const output = options.output!;
  const dataset = await readBeir(options.data!, options.split ?? 'test');
  const { systems, encoders, dispose } = await openSystems(named, options, session);
  const phases = new Phases(session);
  try {
    const models = [...encoders].map(([name, { info }]) => {
      const { directory, architecture, mode, maxLength, parameters, storage, device } = info;
      const longest = options.maxLength ?? maxLength;
      return [name, { directory, architecture, mode, maxLength: longest, parameters, storage, device }] as const;
    });
    const report = await writeComparison(output, dataset, systems, {
      thresholds: options.thresholds,
      metrics: options.metrics,
      keepSameId: options.keepSameId,
      signal: session.signal,
      onProgress: ({ system, phase, done, total }) => phases.update(`${system}: ${phase}`, done, total),
      provenance: { command: commandLine(), models: Object.fromEntries(models) },
    });
    phases.finish();
    const notes = reportNotes(report.rows).map((note) => `- ${note}\n`);
    await writeStdout([`${markdownTable(report.rows)}\n\n`, ...notes, `\nreport: ${join(output, 'report.md')}\n`]);
  } finally {
    phases.stop();
    dispose();
  }
}

/** One progress after the other, a task each. */
class Phases {
  private task = '';
  private progress: Progress | undefined;

  constructor(private readonly session: Session) {}

  update(task: string, done: number, total: number | undefined): void {
    if (task !== this.task) {
      this.progress?.finish();
      this.task = task;
      this.progress = this.session.progress(task, 'texts');
    }
    this.progress?.update(done, total);
  }

  finish(): void {
    this.progress?.finish();
    this.stop();
  }

  stop(): void {
    this.progress?.stop();
    this.progress = undefined;
    this.task = '';
  }
}

/** The command as it may be typed again. */
function commandLine(): string {
  const quote = (word: string) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
  return ['fles', ...process.argv.slice(2)].map(quote).join(' ');
}
