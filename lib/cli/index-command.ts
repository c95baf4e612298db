import { join } from 'node:path';
import { Command } from 'commander';
import { FlesError } from '../errors';
import type { IndexDocument } from '../index/build';
import {
  addCutOptions,
  addDeviceOptions,
  type EncoderOptions,
  encodeOptions,
  encodeRecords,
  loadEncoder,
  refuseEncoderOptions,
} from './encoder-options';
import { addRequired } from './option-parsers';
import { writeStdout } from './output';
import type { Session } from './terminal';
import { readTexts } from './text-input';
import { readVectors } from './vectors';

interface Options extends EncoderOptions {
  input?: string;
  model?: string;
  data?: string;
  output: string;
}

/** `fles index`: vectors, or texts and a model, to an index on disk. */
export function indexCommand(session: Session): Command {
  const command = new Command('index')
    .summary('build an inverted index')
    .description(
      'Builds an inverted index, either from vectors that `fles encode` has written or straight from the corpus of a folder in BEIR layout, and prints its size as JSON.',
    )
    .option('--input <file>', 'vectors, one JSON object a line; - for standard input')
    .option('--model <dir or hub id>', 'model that encodes the corpus of --data')
    .option('--data <dir>', 'folder with corpus.jsonl');
  addRequired(
    command,
    '--output <dir>',
    'folder of the index; an index that stands there is replaced when the new one is whole',
  );
  addCutOptions(command);
  return addDeviceOptions(command)
    .addHelpText(
      'after',
      '\nExamples:\n  fles index --input vectors.jsonl --output index\n' +
        '  fles index --model rasyosef/splade-tiny --data nfcorpus --output index --threshold 0.3',
    )
    .action((options: Options, command: Command) => index(options, command, session));
}

async function index(options: Options, command: Command, session: Session): Promise<void> {
  const { input, model, data, output } = options;
  if (input !== undefined && model === undefined && data === undefined) {
    refuseEncoderOptions(command, '--model and --data');
    return build(readVectors(input, session), output, session);
  }
  if (input === undefined && model !== undefined && data !== undefined) {
    const encoder = await loadEncoder(model, options, session, 'sparse');
    try {
      const settings = { ...encodeOptions(options), kind: 'document' as const, signal: session.signal };
      const records = readTexts(join(data, 'corpus.jsonl'), session);
      return await build(encodeRecords(encoder, records, settings), output, session);
    } finally {
      encoder.dispose();
    }
  }
  throw new FlesError('ERR_USAGE', 'expected either --input, or --model and --data; see fles index --help');
}

async function build(documents: AsyncIterable<IndexDocument>, output: string, session: Session): Promise<void> {
  const progress = session.progress('index', 'documents');
  async function* counted() {
    let done = 0;
    for await (const { id, vector } of documents) {
      yield { id, vector };
      progress.update(++done);
    }
  }
  try {
    const { InvertedIndex } = await import('../index/inverted-index.js');
    const index = await InvertedIndex.build(output, counted(), { signal: session.signal });
    index.close();
    progress.finish();
    await writeStdout([`${JSON.stringify({ output, ...index.info })}\n`]);
  } finally {
    progress.stop();
  }
}
