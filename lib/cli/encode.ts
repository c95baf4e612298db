import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import type { EncoderInfo, FLES1Encoder, VectorKind } from '../encode/encoder';
import { FlesError, fileError } from '../errors';
import { isSpecialFile } from '../text/output-file';
import { version } from '../version';
import {
  addCutOptions,
  addDeviceOptions,
  type EncoderOptions,
  encodeOptions,
  encodeRecords,
  loadEncoder,
} from './encoder-options';
import { addRequired } from './option-parsers';
import { checkOutputPath, writeOutput } from './output';
import { type Fingerprint, partialPath, ResumableOutput, withOutput } from './resumable-output';
import type { Session } from './terminal';
import { readTexts, type TextRecord } from './text-input';
import { formatVector } from './vectors';

interface Options extends EncoderOptions {
  model: string;
  input: string;
  output: string;
  kind: VectorKind;
  resume?: boolean;
}

/** `fles encode`: texts to sparse vectors, one JSON object a line. */
export function encodeCommand(session: Session): Command {
  const command = new Command('encode')
    .summary('turn texts into sparse vectors')
    .description(
      'Turns texts into sparse vectors, one JSON object a line: {"id": ..., "vector": {"term": weight, ...}}, in the order of the input. Input is .jsonl (_id or id, optional title, text), .tsv (id, tab, text) or plain lines.',
    );
  addRequired(command, '--model <dir or hub id>', 'model folder, or the id of a model on the Hugging Face hub');
  addRequired(
    command,
    '--input <file>',
    'texts; - for standard input, JSON lines when it begins with {, else plain lines',
  );
  addRequired(command, '--output <file>', 'where the vectors go; - for standard output');
  command.addOption(
    new Option('--kind <kind>', 'what the texts are; some models encode queries in another way')
      .choices(['query', 'document'])
      .default('document'),
  );
  addCutOptions(command);
  return addDeviceOptions(command)
    .option('--resume', 'go on where an interrupted run with the same options stopped')
    .addHelpText(
      'after',
      '\nExample:\n  fles encode --model rasyosef/splade-tiny --input corpus.jsonl --output vectors.jsonl --threshold 0.3',
    )
    .action((options: Options) => encode(options, session));
}

async function encode(options: Options, session: Session): Promise<void> {
  const streamed = options.output === '-' || (await isSpecialFile(options.output));
  if (options.resume && (streamed || options.input === '-')) {
    throw new FlesError(
      'ERR_USAGE',
      '--resume needs files for --input and --output: a stream cannot be taken up again',
    );
  }
  await checkOutputPath(options.output, [options.input]);
  // What an earlier run has left unfinished may be thrown away.
  if (!streamed) await checkOutputPath(partialPath(options.output), [options.input]);
  // Before the model is loaded: a slip in the path shows at once.
  const input = options.input === '-' ? undefined : await statFile(options.input);
  const encoder = await loadEncoder(options.model, options, session, 'sparse');
  try {
    if (streamed) {
      const lines = encodeLines(encoder, readTexts(options.input, session), options, session, 0);
      await writeOutput(options.output, lines);
    } else {
      const fingerprint = await fingerprintOf(options, input, encoder.info);
      await withOutput(options.output, session.signal, () => encodeToFile(encoder, options, fingerprint, session));
    }
  } finally {
    encoder.dispose();
  }
}

async function encodeToFile(
  encoder: FLES1Encoder,
  options: Options,
  fingerprint: Fingerprint,
  session: Session,
): Promise<void> {
  const output = await ResumableOutput[options.resume ? 'resume' : 'create'](options.output, fingerprint);
  try {
    const records = readTexts(options.input, session);
    const done = await skipWritten(output, records, options);
    for await (const line of encodeLines(encoder, records, options, session, done)) await output.append(line);
  } catch (error) {
    const kept = await output.suspend();
    if (kept) session.note(`${partialPath(options.output)} keeps what is done; --resume goes on from there`);
    throw error;
  }
  await output.finish();
}

/** The output lines of the records, with progress. `done`: texts that came before these. */
async function* encodeLines(
  encoder: FLES1Encoder,
  records: AsyncIterable<TextRecord>,
  options: Options,
  session: Session,
  done: number,
): AsyncGenerator<string> {
  const progress = session.progress('encode', 'texts');
  const settings = { ...encodeOptions(options), kind: options.kind, signal: session.signal };
  try {
    for await (const { id, vector } of encodeRecords(encoder, records, settings)) {
      yield formatVector(id, vector);
      progress.update(++done);
    }
    progress.finish();
  } finally {
    progress.stop();
  }
}

/** Moves past the records that the output has already, and returns how many they are. */
async function skipWritten(
  output: ResumableOutput,
  records: AsyncIterator<TextRecord>,
  { input }: Options,
): Promise<number> {
  let count = 0;
  for await (const { text, where } of output.lines()) {
    const written = /^\{"id":("(?:[^"\\]|\\.)*"),"vector":\{.*\}\}$/.exec(text)?.[1];
    const { value, done } = await records.next();
    if (written === undefined || done || JSON.stringify(value.id) !== written) {
      const expected = done ? 'the input has ended' : `the input has ${JSON.stringify(value.id)}`;
      throw new FlesError(
        'ERR_RESUME_MISMATCH',
        `${where} holds ${written ?? 'something else than a vector'} where ${expected} (${input}); leave out --resume to start anew`,
      );
    }
    count++;
  }
  return count;
}

/** Everything that the lines of the output depend on. */
async function fingerprintOf(options: Options, input: Stats | undefined, info: EncoderInfo): Promise<Fingerprint> {
  const { native } = await import('../native.js');
  return {
    fles: version,
    model: info.directory,
    modelFiles: await filesDigest(info.directory),
    mode: info.mode,
    pooling: info.sparse?.pooling ?? null,
    queryKind: info.queryKind,
    modelMaxLength: info.maxLength,
    config: JSON.stringify(info.config),
    device: info.device,
    dtype: info.dtype,
    // The last bits of a weight differ from one instruction set to another.
    cpuLevel: native.platform().cpuLevel,
    cpuSixteenBits: native.platform().cpuSixteenBits,
    kind: options.kind,
    threshold: options.threshold ?? 0,
    topK: options.topK ?? null,
    maxLength: options.maxLength ?? null,
    input: input ? resolve(options.input) : options.input,
    inputBytes: input?.size ?? null,
    inputModified: input ? Math.trunc(input.mtimeMs) : null,
  };
}

/** Entries of a model folder that are looked at: a model has some twenty, a folder with a model in it may have any number. */
const MAX_ENTRIES = 1000;

/** A digest of the paths, sizes and times of change of a model's files: training may write new ones into the same folder. */
async function filesDigest(folder: string): Promise<string> {
  const hash = createHash('sha256');
  const folders = [''];
  let entries = 0;
  // The folders nearest to the top come first.
  for (const below of folders) {
    const found = await readdir(join(folder, below), { withFileTypes: true });
    for (const entry of found.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (++entries > MAX_ENTRIES) break;
      const path = join(below, entry.name);
      if (entry.isDirectory()) {
        if (!entry.name.startsWith('.')) folders.push(path);
        continue;
      }
      // Follows the links of which a hub's snapshot consists.
      const status = await stat(join(folder, path)).catch(() => undefined);
      if (status?.isFile()) hash.update(`${JSON.stringify([path, status.size, status.mtimeMs])}\n`);
    }
  }
  return hash.digest('hex').slice(0, 16);
}

async function statFile(path: string): Promise<Stats> {
  try {
    return await stat(path);
  } catch (error) {
    throw fileError(error, path);
  }
}
