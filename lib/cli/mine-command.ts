import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { Command, Option } from 'commander';
import { FlesError } from '../errors';
import { readRun } from '../eval/trec';
import { isSpecialFile } from '../text/output-file';
import { type MinedExample, type MineOptions, mineNegatives } from '../train/data/mine';
import type { PairSource } from '../train/data/pair-source';
import { bm25Search, encoderSearch, type OpenSearch, runSearch } from '../train/data/searches';
import {
  addDeviceOptions,
  type EncoderOptions,
  encodeOptions,
  loadEncoder,
  refuseEncoderOptions,
} from './encoder-options';
import { addRequired, integer, number } from './option-parsers';
import { checkOutputPath, writeOutput, writeStdout } from './output';
import type { Session } from './terminal';
import { addDataOptions, type DataOptions, exampleLine, filesOfData, openData } from './training-data';

interface Options extends EncoderOptions, MineOptions, DataOptions {
  output: string;
  model?: string;
  run?: string;
  scores?: boolean;
  ids?: boolean;
}

/** What became of the examples. */
interface Tally {
  examples: number;
  negatives: number;
  /** Examples with fewer negatives than were asked for, and those among them with none. */
  incomplete: number;
  without: number;
  /** Examples whose positive the search did not find. */
  positivesNotFound: number;
}

/** `fles mine`: training examples with hard negatives. */
export function mineCommand(session: Session): Command {
  const command = new Command('mine')
    .summary('find hard negatives for training data')
    .description(
      'Gives training examples negatives that a search ranks high and that are not known to answer the query, and writes them as JSON lines: {"query", "positive", "negatives"}, with "ids" where texts have some. The search is BM25, a model (--model) or a run made elsewhere (--run).',
    );
  addDataOptions(command);
  addRequired(command, '--output <file>', 'where the examples go; - for standard output')
    .option('--model <dir or hub id>', 'search with this model, sparse or dense')
    .option('--run <file>', 'take what a run in the six columns of TREC has found')
    .option('--count <n>', 'negatives of an example', integer(1, 1000), 7)
    .option('--from <rank>', 'first rank to take negatives from', integer(1, 1e6), 1)
    .option('--to <rank>', 'last rank to take negatives from', integer(1, 1e6), 100)
    .addOption(
      new Option('--draw <how>', 'draw negatives at random from those ranks, or take the first')
        .choices(['random', 'first'])
        .default('random'),
    )
    .option('--seed <n>', 'decides the draws', integer(0, 2 ** 32 - 1), 0)
    .option('--margin <m>', 'a negative scores at least m below the positive', number(0, 3.4e38))
    .option(
      '--relative-margin <r>',
      'a negative scores at least r times the score of the positive below it',
      number(0, 1),
    )
    .option('--min-score <s>', 'least score of a negative', number(-3.4e38, 3.4e38))
    .option('--max-score <s>', 'largest score of a negative', number(-3.4e38, 3.4e38))
    .option('--ids', 'write the ids of texts alone, which corpus and queries beside the file, or named, stand for')
    .option('--scores', 'write the scores of the search too, for training that takes it as its teacher');
  return addDeviceOptions(command)
    .addHelpText(
      'after',
      '\nExamples:\n  fles mine --data nfcorpus --output train.jsonl --from 5 --to 100 --count 7\n' +
        '  fles mine --data nfcorpus --model rasyosef/splade-tiny --relative-margin 0.05 --output train.jsonl',
    )
    .action((options: Options, command: Command) => mine(options, command, session));
}

async function mine(options: Options, command: Command, session: Session): Promise<void> {
  const { data, output, from, to, model, run } = options;
  if (model !== undefined && run !== undefined) {
    throw new FlesError('ERR_USAGE', 'expected --model or --run, not both; see fles mine --help');
  }
  if (from > to) throw new FlesError('ERR_USAGE', `--from is ${from} and --to is ${to}, expected --from up to --to`);
  if (model === undefined) refuseEncoderOptions(command, '--model');
  await checkOutputPath(output, [run, ...(await filesOfData(options))]);
  const streamed = output === '-' || (await isSpecialFile(output));
  const { signal } = session;
  const source = await openData(data, options, session);
  const open: OpenSearch[] = [];
  const tally: Tally = { examples: 0, negatives: 0, incomplete: 0, without: 0, positivesNotFound: 0 };
  try {
    const search = await openSearch(source, options, streamed ? tmpdir() : dirname(output), session, open);
    const progress = session.progress('mine', 'examples');
    try {
      const mined = mineNegatives(source, search.search, mineOptions(options), signal);
      await writeOutput(
        output,
        lines(mined, options, tally, () => progress.update(tally.examples, source.size)),
      );
    } finally {
      progress.stop();
    }
  } finally {
    await Promise.all([source, ...open].map((opened) => opened.close()));
  }
  if (output !== '-') await writeStdout([`${JSON.stringify({ output, ...tally })}\n`]);
  else
    session.note(
      `${tally.negatives} negatives for ${tally.examples} examples, ${tally.incomplete} with fewer than asked`,
    );
}

/** The part of the options that `mineNegatives` takes. */
function mineOptions(options: Options): MineOptions {
  const { count, from, to, draw, seed, margin, relativeMargin, minScore, maxScore } = options;
  return { count, from, to, draw, seed, margin, relativeMargin, minScore, maxScore };
}

/** Opens the search that the options ask for; what must be closed after it goes to `open`. */
async function openSearch(
  { pool }: PairSource,
  options: Options,
  directory: string,
  session: Session,
  open: OpenSearch[],
): Promise<OpenSearch> {
  const { model, run, to: k } = options;
  const { signal } = session;
  const progress = session.progress('index', 'documents');
  const settings = { k, signal, onProgress: progress.update.bind(progress) };
  try {
    let search: OpenSearch;
    if (run !== undefined) {
      search = runSearch(pool, await readRun(run, { signal }), run, settings);
    } else if (model !== undefined) {
      const encoder = await loadEncoder(model, options, session);
      open.push({ search: async () => [], close: async () => encoder.dispose() });
      search = await encoderSearch(pool, encoder, encodeOptions(options), directory, settings);
    } else {
      search = await bm25Search(pool, settings);
    }
    open.push(search);
    return search;
  } finally {
    progress.stop();
  }
}

async function* lines(
  mined: AsyncIterable<MinedExample>,
  { count, scores = false, ids = false }: Options,
  tally: Tally,
  onLine: () => void,
): AsyncGenerator<string> {
  for await (const example of mined) {
    const found = example.negatives.length;
    tally.examples++;
    tally.negatives += found;
    if (found < count) tally.incomplete++;
    if (found === 0) tally.without++;
    if (Number.isNaN(example.scores[0])) tally.positivesNotFound++;
    yield exampleLine(example, { scores, idsAlone: ids });
    onLine();
  }
  if (tally.negatives === 0) {
    throw new FlesError(
      'ERR_DATA_EXHAUSTED',
      `the search found no negative for any of ${tally.examples} examples; widen --from and --to, or lower the margin`,
    );
  }
}
