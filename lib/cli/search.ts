import { Command } from 'commander';
import { show } from '../check';
import { FlesError } from '../errors';
import { queryLines } from '../eval/trec';
import type { IndexDocument } from '../index/build';
import type { InvertedIndex } from '../index/inverted-index';
import {
  addCutOptions,
  addDeviceOptions,
  type EncoderOptions,
  encodeOptions,
  encodeRecords,
  loadEncoder,
  refuseEncoderOptions,
} from './encoder-options';
import { addRequired, integer } from './option-parsers';
import { checkOutputPath, writeOutput } from './output';
import type { Session } from './terminal';
import { readTexts } from './text-input';
import { readVectors } from './vectors';

interface Options extends EncoderOptions {
  index: string;
  model?: string;
  queries?: string;
  vectors?: string;
  k: number;
  tag: string;
  output: string;
}

/** Queries searched for together: work for all cores; fewer where they have many hits, which are all in memory. */
const MAX_QUERIES = 64;
const MAX_HITS = 1_000_000;

/** `fles search`: the best documents of an index for each query, as a TREC run. */
export function searchCommand(session: Session): Command {
  const command = new Command('search')
    .summary('search an index')
    .description(
      'Finds the best documents for each query and writes a TREC run: query, Q0, document, rank, score, tag. Queries come as texts with the model to encode them, or as vectors that `fles encode --kind query` has written.',
    );
  addRequired(command, '--index <dir>', 'folder that `fles index` has written')
    .option('--model <dir or hub id>', 'model that encodes the texts of --queries')
    .option('--queries <file>', 'texts, in the formats of `fles encode`; - for standard input')
    .option('--vectors <file>', 'query vectors, one JSON object a line; - for standard input')
    .option('--k <n>', 'documents for each query', integer(1, 2 ** 31 - 1), 1000)
    .option('--tag <name>', 'name of the run, the last column', 'fles')
    .option('--output <file>', 'where the run goes; - for standard output', '-');
  addCutOptions(command);
  return addDeviceOptions(command)
    .addHelpText(
      'after',
      '\nExample:\n  fles search --index index --model rasyosef/splade-tiny --queries queries.jsonl --k 100 --output run.trec',
    )
    .action((options: Options, command: Command) => search(options, command, session));
}

async function search(options: Options, command: Command, session: Session): Promise<void> {
  const { model, queries, vectors } = options;
  if (
    vectors === undefined ? model === undefined || queries === undefined : model !== undefined || queries !== undefined
  ) {
    throw new FlesError('ERR_USAGE', 'expected either --vectors, or --model and --queries; see fles search --help');
  }
  if (vectors !== undefined) refuseEncoderOptions(command, '--model and --queries');
  await checkOutputPath(options.output, [queries, vectors]);
  const { InvertedIndex } = await import('../index/inverted-index.js');
  const index = await InvertedIndex.open(options.index);
  try {
    if (vectors !== undefined)
      return await writeOutput(options.output, runOf(index, readVectors(vectors, session), options, session));
    const encoder = await loadEncoder(model!, options, session, 'sparse');
    try {
      const settings = { ...encodeOptions(options), kind: 'query' as const, signal: session.signal };
      const records = encodeRecords(encoder, readTexts(queries!, session), settings);
      await writeOutput(options.output, runOf(index, records, options, session));
    } finally {
      encoder.dispose();
    }
  } finally {
    index.close();
  }
}

/** The lines of the run, a batch of queries at a time. */
async function* runOf(
  index: InvertedIndex,
  queries: AsyncIterable<IndexDocument>,
  { k, tag, index: directory, vectors, queries: texts }: Options,
  session: Session,
): AsyncGenerator<string> {
  const progress = session.progress('search', 'queries');
  const hitsOfOne = Math.min(k, index.info.documents);
  const together = Math.max(1, Math.min(MAX_QUERIES, Math.floor(MAX_HITS / hitsOfOne)));
  const input = vectors ?? texts;
  const source = input === '-' ? 'stdin' : input;
  let done = 0;
  async function* answer(batch: IndexDocument[]) {
    const hits = await index
      .searchBatch(
        batch.map(({ vector }) => vector),
        { k, signal: session.signal },
      )
      .catch((error) => {
        throw withIds(error, batch);
      });
    for (const [i, { id: query }] of batch.entries()) {
      const found = hits[i]!.map(({ id: document, score }) => ({ document, score }));
      yield* queryLines(query, found, tag, { query: `${source}, query ${done + i + 1}`, documents: directory });
    }
    done += batch.length;
    progress.update(done);
  }
  try {
    let batch: IndexDocument[] = [];
    for await (const query of queries) {
      batch.push(query);
      if (batch.length < together) continue;
      yield* answer(batch);
      batch = [];
    }
    yield* answer(batch);
    progress.finish();
  } finally {
    progress.stop();
  }
}

/** An error of `searchBatch` with the id of the query in place of its number in the batch. */
function withIds(error: unknown, batch: readonly IndexDocument[]): unknown {
  if (!(error instanceof FlesError)) return error;
  const message = error.message.replace(/\bquery (\d+)/, (_, query) => `query ${show(batch[query]?.id)}`);
  return new FlesError(error.code, message, { cause: error });
}
