import { type Command, InvalidArgumentError, Option } from 'commander';
import { DEVICE_FORMS, isDevice } from '../device';
import type { EncodeOptions, FLES1Encoder, FromPretrainedOptions } from '../encode/encoder';
import { DATA_TYPES } from '../encode/options';
import { FlesError } from '../errors';
import type { SparseVector } from '../sparse-vector';
import { integer, number } from './option-parsers';
import type { Session } from './terminal';
import type { TextRecord } from './text-input';

const MAX_INT32 = 2 ** 31 - 1;
const MAX_FLOAT32 = 3.4e38;

/** Options of every command that loads a model. */
export interface EncoderOptions {
  threshold?: number;
  topK?: number;
  maxLength?: number;
  batchSize?: number;
  dtype: FromPretrainedOptions['dtype'];
  device: FromPretrainedOptions['device'];
}

/** Adds what is kept of a vector: `--threshold` and `--top-k`. */
export function addCutOptions(command: Command): Command {
  return command
    .option('--threshold <t>', 'keep terms whose weight is above t (default: 0)', number(0, MAX_FLOAT32))
    .option('--top-k <n>', 'keep the n heaviest terms (default: all)', integer(1, MAX_INT32));
}

/** Adds how to run the network: `--max-length`, `--batch-size`, `--dtype`, `--device`. */
export function addDeviceOptions(command: Command): Command {
  return command
    .option('--max-length <n>', 'cut texts after n tokens (default: what the model says)', integer(2, MAX_INT32))
    .option('--batch-size <n>', 'texts in one batch (default: 32); vectors do not depend on it', integer(1, 4096))
    .addOption(
      new Option('--dtype <type>', 'number type of the computation').choices([...DATA_TYPES]).default('float32'),
    )
    .addOption(
      new Option('--device <name>', `where to compute: ${DEVICE_FORMS}; auto takes CUDA where it is present`)
        .argParser((value) => {
          if (!isDevice(value)) throw new InvalidArgumentError(`Expected ${DEVICE_FORMS}.`);
          return value;
        })
        .default('auto'),
    );
}

/**
 * Refuses options of the encoder that were typed where nothing is encoded.
 *
 * @param needed what would make use of them, as the error says it
 */
export function refuseEncoderOptions(command: Command, needed: string): void {
  const names: (keyof EncoderOptions)[] = ['threshold', 'topK', 'maxLength', 'batchSize', 'dtype', 'device'];
  const stray = names.find((name) => command.getOptionValueSource(name) === 'cli');
  if (stray !== undefined) {
    throw new FlesError('ERR_USAGE', `${flag(stray)} needs ${needed}; see fles ${command.name()} --help`);
  }
}

/** An option as it is typed: `--top-k` for `topK`. */
export function flag(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Loads a model folder or hub id, showing the download if there is one. The caller disposes of it. */
export async function loadEncoder(
  model: string,
  { device, dtype }: Pick<EncoderOptions, 'device' | 'dtype'>,
  session: Session,
  mode?: FromPretrainedOptions['mode'],
): Promise<FLES1Encoder> {
  // Loaded here, for the native addon comes with it: help and --version must work without.
  const { FLES1Encoder } = await import('../encode/encoder.js');
  return session.download(model, (onProgress) =>
    FLES1Encoder.fromPretrained(model, { mode, device, dtype, signal: session.signal, onProgress }),
  );
}

/** The part of the options that `encode` takes; what was not given is left to the encoder. */
export function encodeOptions({ threshold, topK, maxLength, batchSize }: Partial<EncoderOptions>): EncodeOptions {
  return {
    ...(threshold !== undefined && { threshold }),
    ...(topK !== undefined && { topK }),
    ...(maxLength !== undefined && { maxLength }),
    ...(batchSize !== undefined && { batchSize }),
  };
}

/** Encodes texts as they come, each vector with the record it came from, in the order of the input. */
export async function* encodeRecords<T extends TextRecord>(
  encoder: FLES1Encoder,
  records: AsyncIterable<T>,
  options: EncodeOptions,
): AsyncGenerator<T & { vector: SparseVector }> {
  const waiting: T[] = [];
  async function* texts() {
    for await (const record of records) {
      waiting.push(record);
      yield record.text;
    }
  }
  for await (const vector of encoder.encodeStream(texts(), options)) yield { ...waiting.shift()!, vector };
}
