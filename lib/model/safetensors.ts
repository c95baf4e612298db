import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { show } from '../check';
import { FlesError, fileError, messageOf } from '../errors';
import { isObject } from './json';

/** Bits of one element of every storage type the format defines. */
const BITS: Readonly<Record<string, number>> = {
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E8M0: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  I64: 64,
  U64: 64,
  F64: 64,
  C64: 64,
};

/** The format's own bound on the header. */
export const MAX_HEADER_BYTES = 100_000_000;

/** A tensor of a safetensors file. */
export interface SafetensorsEntry {
  name: string;
  dtype: string;
  shape: number[];
  /** First byte, counted from the start of the file. */
  offset: number;
  bytes: number;
}

/**
 * Reads and validates the header of a safetensors file; the data is not read.
 *
 * Everything that a reader relies on is checked: the header's length against the file, the JSON, every storage type and
 * shape, and that the tensors' ranges follow each other without gap or overlap from the first byte of the data to the
 * last byte of the file. Keys that occur twice are refused.
 *
 * Format: https://github.com/huggingface/safetensors#format
 *
 * @returns the tensors by name, in the order of their data
 * @throws FlesError `ERR_SAFETENSORS_TRUNCATED` (the file is shorter than it says), `ERR_SAFETENSORS_HEADER` (the header
 *   is malformed), `ERR_SAFETENSORS_TENSOR` (a tensor's entry contradicts itself or the file), `ERR_FILE_*`
 */
export async function readSafetensorsHeader(path: string): Promise<Map<string, SafetensorsEntry>> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    // A named pipe would be waited for.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw fileError(error, path);
  }
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new FlesError('ERR_FILE_KIND', `${path} is not a regular file`);
    if (stats.size < 8) throw truncated(path, `has ${stats.size} bytes, fewer than the 8 of the header's length`);
    const length = Buffer.alloc(8);
    await readFully(file, length, 0, path);
    const headerBytes = length.readBigUInt64LE();
    if (headerBytes > BigInt(MAX_HEADER_BYTES)) {
      throw new FlesError(
        'ERR_SAFETENSORS_HEADER',
        `${path} says its header has ${headerBytes} bytes, expected at most ${MAX_HEADER_BYTES}; is it a safetensors file?`,
      );
    }
    const start = 8 + Number(headerBytes);
    if (start > stats.size) {
      throw truncated(path, `says its header has ${headerBytes} bytes but ends after ${stats.size}`);
    }
    const header = Buffer.alloc(Number(headerBytes));
    await readFully(file, header, 8, path);
    return parseSafetensorsHeader(header, start, stats.size, path);
  } catch (error) {
    throw fileError(error, path);
  } finally {
    await file.close();
  }
}

async function readFully(file: Awaited<ReturnType<typeof open>>, into: Buffer, position: number, path: string) {
  let done = 0;
  while (done < into.length) {
    const { bytesRead } = await file.read(into, done, into.length - done, position + done);
    if (bytesRead === 0) throw truncated(path, `ends at byte ${position + done} while its header is read`);
    done += bytesRead;
  }
}

function truncated(path: string, what: string): FlesError {
  return new FlesError('ERR_SAFETENSORS_TRUNCATED', `${path} ${what}; the file is cut off, download it again`);
}

/** The JSON header of a file whose float32 tensors follow one another in this order. */
export function safetensorsHeader(tensors: readonly { name: string; shape: readonly number[] }[]): string {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let end = 0;
  for (const { name, shape } of tensors) {
    const begin = end;
    end += 4 * shape.reduce((product, size) => product * size, 1);
    header[name] = { dtype: 'F32', shape, data_offsets: [begin, end] };
  }
  const text = JSON.stringify(header);
  // Aligns the data to 8 bytes, as the format's own writer does.
  return text.padEnd(Math.ceil(Buffer.byteLength(text) / 8) * 8);
}

/** Validates the JSON header `json` of a file of `size` bytes whose data begins at byte `start`. */
export function parseSafetensorsHeader(
  json: Uint8Array,
  start: number,
  size: number,
  path: string,
): Map<string, SafetensorsEntry> {
  const refuse = (what: string, cause?: unknown) =>
    new FlesError('ERR_SAFETENSORS_HEADER', `${path}: ${what}; the file is damaged or not a safetensors file`, {
      cause,
    });
  let header: unknown;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
    header = JSON.parse(text);
  } catch (error) {
    throw refuse(`the header is not valid JSON (${messageOf(error).slice(0, 100)})`, error);
  }
  if (!isObject(header) || json[0] !== 0x7b) throw refuse('the header is not a JSON object');
  const twice = duplicateKey(text);
  if (twice !== undefined) throw refuse(`the header has the key ${show(twice)} twice`);

  const entries: SafetensorsEntry[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name !== '__metadata__') entries.push(parseEntry(name, value, start, path));
    else if (!isObject(value) || Object.values(value).some((text) => typeof text !== 'string')) {
      throw refuse('__metadata__ is not an object of strings');
    }
  }
  entries.sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  let end = start;
  for (const entry of entries) {
    if (entry.offset !== end) {
      throw tensorError(
        path,
        entry.name,
        `begins at byte ${entry.offset - start} of the data, expected ${end - start} (no gap, no overlap)`,
      );
    }
    end += entry.bytes;
    if (end > size) {
      throw truncated(
        path,
        `ends at byte ${size} inside or before tensor ${show(entry.name)}, which ends at byte ${end}`,
      );
    }
  }
  if (end !== size) throw refuse(`the header describes ${end} bytes, the file has ${size}`);
  return new Map(entries.map((entry) => [entry.name, entry]));
}

function tensorError(path: string, name: string, what: string): FlesError {
  return new FlesError(
    'ERR_SAFETENSORS_TENSOR',
    `${path}: tensor ${show(name)} ${what}; the file is damaged, download it again`,
  );
}

function parseEntry(name: string, value: unknown, start: number, path: string): SafetensorsEntry {
  if (!isObject(value)) throw tensorError(path, name, `is described by ${show(value)}, expected an object`);
  const { dtype, shape, data_offsets: range } = value;
  const bits = typeof dtype === 'string' && Object.hasOwn(BITS, dtype) ? BITS[dtype] : undefined;
  if (bits === undefined) throw tensorError(path, name, `has dtype ${show(dtype)}, which the format does not know`);
  if (!isArrayOfCounts(shape)) throw tensorError(path, name, `has a shape that is not a list of non-negative integers`);
  if (!isArrayOfCounts(range) || range.length !== 2 || range[0]! > range[1]!) {
    throw tensorError(path, name, 'has data_offsets that are not [begin, end] with begin <= end');
  }
  const [begin, end] = range as [number, number];
  const elements = shape.reduce((product, dimension) => product * dimension, 1);
  // Beyond 2^53 the product is no longer exact, and no file is that long.
  if (!Number.isSafeInteger(elements * bits) || elements * bits !== (end - begin) * 8) {
    throw tensorError(
      path,
      name,
      `has ${end - begin} bytes, expected ${elements} elements of ${dtype} (shape ${shape.join(' x ') || 'scalar'})`,
    );
  }
  return { name, dtype: dtype as string, shape, offset: start + begin, bytes: end - begin };
}

function isArrayOfCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

/** The first key that occurs twice in one object of a valid JSON text; JSON.parse would keep the last one silently. */
function duplicateKey(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '{') open.push(new Set());
    else if (char === '[') open.push(undefined);
    else if (char === '}' || char === ']') open.pop();
    else if (char === '"') {
      const begin = at++;
      while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
      let next = at + 1;
      while (/\s/.test(text[next] ?? '')) next++;
      if (text[next] !== ':') continue;
      const key = JSON.parse(text.slice(begin, at + 1)) as string;
      const keys = open.at(-1)!;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}
