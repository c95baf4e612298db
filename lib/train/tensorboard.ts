import { type FileHandle, open, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileError } from '../errors';
import { appendWhole } from '../text/output-file';

/**
 * Scalars in the event files that TensorBoard reads: records (length, its checksum, data, checksum of the data), each one an Event in
 * the encoding of Protocol Buffers.
 *
 * Format: tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto
 */
export class TensorBoardWriter {
  private constructor(
    readonly path: string,
    private readonly file: FileHandle,
  ) {}

  /** Begins an event file in `directory`, which exists. Throws `ERR_FILE_*`. */
  static async create(directory: string): Promise<TensorBoardWriter> {
    const seconds = Date.now() / 1000;
    const path = join(directory, `${EVENT_FILE_PREFIX}.${Math.floor(seconds)}.${hostname()}.${process.pid}.0`);
    const file = await open(path, 'w').catch((error) => {
      throw fileError(error, path);
    });
    const writer = new TensorBoardWriter(path, file);
    try {
      await writer.write([double(1, seconds), bytes(3, Buffer.from('brain.Event:2'))]);
      return writer;
    } catch (error) {
      await writer.discard();
      throw error;
    }
  }

  /**
   * Adds the values of a step. `tag`s with a slash are grouped by what stands before it.
   *
   * @param seconds time of the event, Unix
   */
  async add(step: number, values: Readonly<Record<string, number>>, seconds = Date.now() / 1000): Promise<void> {
    const summary = Object.entries(values).map(([tag, value]) =>
      bytes(1, Buffer.concat([bytes(1, Buffer.from(tag)), float(2, value)])),
    );
    await this.write([double(1, seconds), varint(2, step), bytes(5, Buffer.concat(summary))]);
  }

  async close(): Promise<void> {
    await this.file.close().catch((error) => {
      throw fileError(error, this.path);
    });
  }

  /** Closes and removes a file that could not be begun. */
  async discard(): Promise<void> {
    await this.file.close().catch(() => undefined);
    await rm(this.path, { force: true }).catch(() => undefined);
  }

  private async write(fields: Buffer[]): Promise<void> {
    await appendWhole(this.file, record(Buffer.concat(fields)), this.path);
  }
}

/** What the names of event files begin with; TensorBoard looks for it. */
export const EVENT_FILE_PREFIX = 'events.out.tfevents';

/** A record of the file. */
function record(data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeBigUInt64LE(BigInt(data.length));
  head.writeUInt32LE(maskedChecksum(head.subarray(0, 8)), 8);
  const tail = Buffer.alloc(4);
  tail.writeUInt32LE(maskedChecksum(data));
  return Buffer.concat([head, data, tail]);
}

/** CRC-32C, rotated and shifted so that the checksum of data that holds checksums is no special case. */
function maskedChecksum(data: Uint8Array): number {
  const crc = crc32c(data);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** CRC-32C (Castagnoli), reflected polynomial 0x82f63b78. */
export function crc32c(data: Uint8Array): number {
  let crc = ~0;
  for (const byte of data) crc = CRC_TABLE[(crc ^ byte) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** Wire types of Protocol Buffers. */
const VARINT = 0;
const BITS_64 = 1;
const LENGTH = 2;
const BITS_32 = 5;

function key(field: number, type: number): number {
  return (field << 3) | type;
}

function encodeVarint(value: number): number[] {
  const out: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...out, rest];
    out.push((rest % 128) | 128);
  }
}

function varint(field: number, value: number): Buffer {
  return Buffer.from([key(field, VARINT), ...encodeVarint(value)]);
}

function double(field: number, value: number): Buffer {
  const out = Buffer.alloc(9);
  out[0] = key(field, BITS_64);
  out.writeDoubleLE(value, 1);
  return out;
}

function float(field: number, value: number): Buffer {
  const out = Buffer.alloc(5);
  out[0] = key(field, BITS_32);
  out.writeFloatLE(value, 1);
  return out;
}

function bytes(field: number, value: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([key(field, LENGTH), ...encodeVarint(value.length)]), value]);
}
