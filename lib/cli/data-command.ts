import { Command, Option } from 'commander';
import { FlesError } from '../errors';
import { joinPairs } from '../train/data/joined-pairs';
import { guardAgainstLeaks, type LeakAction, type LeakReport, readTestSet } from '../train/data/leaks';
import type { PairSource } from '../train/data/pair-source';
import { flag } from './encoder-options';
import { number } from './option-parsers';
import { checkOutputPath, writeOutput, writeStdout } from './output';
import type { Session } from './terminal';
import { addDataOptions, type DataOptions, exampleLine, filesOfData, openData } from './training-data';

interface Options extends DataOptions {
  test?: string;
  testSplit?: string;
  similarity?: number;
  onLeak?: LeakAction;
  output?: string;
}

const EXAMPLES_A_READ = 256;

/** `fles data`: what training data holds, and whether it gives a test set away. */
export function dataCommand(session: Session): Command {
  const command = new Command('data')
    .summary('check training data')
    .description(
      'Reads training data to the end, so that every bad line shows, and prints as JSON how many examples each path gives. With --test: which of them give away queries of a test set. With --output: writes them as JSON lines.',
    );
  return addDataOptions(command)
    .option('--test <dir>', 'folder in BEIR layout with the queries to be tested with')
    .option('--test-split <name>', 'judgements of --test whose queries count (default: test)')
    .option(
      '--similarity <s>',
      'queries are alike from this Jaccard similarity of their words on (default: only the same words in the same order)',
      number(Number.MIN_VALUE, 1),
    )
    .addOption(
      new Option('--on-leak <action>', 'what to do about examples that give a query away (default: report)').choices([
        'report',
        'drop',
        'fail',
      ]),
    )
    .option('--output <file>', 'where the examples go, those that are dropped left out; - for standard output')
    .addHelpText(
      'after',
      '\nExamples:\n  fles data --data medquad squad --test nfcorpus --similarity 0.8\n' +
        '  fles data --data nfcorpus --test nfcorpus --on-leak drop --output train.jsonl',
    )
    .action((options: Options) => describe(options, session));
}

async function describe(options: Options, session: Session): Promise<void> {
  const { data, test, output } = options;
  const stray = (['testSplit', 'similarity', 'onLeak'] as const).find((name) => options[name] !== undefined);
  if (test === undefined && stray)
    throw new FlesError('ERR_USAGE', `${flag(stray)} needs --test; see fles data --help`);
  if (options.onLeak === 'drop' && output === undefined) {
    throw new FlesError('ERR_USAGE', '--on-leak drop needs --output, where the others go; see fles data --help');
  }
  if (output !== undefined) await checkOutputPath(output, await filesOfData(options, test));
  const sources: PairSource[] = [];
  try {
    for (const path of data) sources.push(await openData(path, options, session));
    const whole = joinPairs(sources);
    const { source, report } = test === undefined ? { source: whole } : await guard(whole, test, options, session);
    const facts = {
      data: sources.map(({ size, pool }, i) => ({ path: data[i], examples: size, documents: pool.size })),
      examples: source.size,
      ...(report && { leaks: { ...report.leaks, testQueries: report.testQueries } }),
    };
    if (output !== undefined) await writeOutput(output, lines(source, session));
    if (output === '-') session.note(JSON.stringify(facts));
    else await writeStdout([`${JSON.stringify(facts)}\n`]);
  } finally {
    await Promise.all(sources.map((source) => source.close()));
  }
}

async function guard(
  source: PairSource,
  test: string,
  { data, split, testSplit = 'test', similarity, onLeak = 'report' }: Options,
  { signal }: Session,
): Promise<{ source: PairSource; report: LeakReport }> {
  const testSet = await readTestSet(test, testSplit, { paths: data, split });
  return guardAgainstLeaks(source, testSet.test, onLeak, { similarity, train: testSet.train, signal });
}

async function* lines(source: PairSource, session: Session): AsyncGenerator<string> {
  const progress = session.progress('write', 'examples');
  try {
    for (let begin = 0; begin < source.size; begin += EXAMPLES_A_READ) {
      session.signal.throwIfAborted();
      const numbers = Array.from({ length: Math.min(EXAMPLES_A_READ, source.size - begin) }, (_, i) => begin + i);
      for (const example of await source.examples(numbers))
        yield exampleLine(example, { scores: true, idsAlone: false });
      progress.update(begin + numbers.length, source.size);
    }
  } finally {
    progress.stop();
  }
}
