import { createReadStream } from 'node:fs';
import { TextDecoder } from 'node:util';
import { abortable } from '../abortable';
import { checkInteger, checkIterable, checkKeys, checkString, show } from '../check';
import { FlesError, fileError, messageOf, throwIfAborted } from '../errors';
import type { LargeMap } from '../large-map';
import { refuseCompressed } from './compressed';

/** Longest line that the readers accept unless told otherwise: 16 MiB, without its line end. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** Where lines come from: a path, or chunks of bytes, which a stream such as `process.stdin` is. */
export type LineSource = string | AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>;

export interface LineOptions {
  /** What errors call the source; the path by default, `input` for a stream. */
  name?: string;
  /** Longest line in bytes, `MAX_LINE_BYTES` by default. */
  maxBytes?: number;
  signal?: AbortSignal;
}

export interface Line {
  text: string;
  /** Number from 1. */
  number: number;
  /** `name:number`, the way errors point at the line. */
  where: string;
}

export interface JsonLine extends Line {
  /** The parsed object. */
  value: Record<string, unknown>;
}

/**
 * The lines of a UTF-8 text, one at a time, in bounded memory.
 *
 * LF and CRLF end a line; the last line needs no end, and a byte order mark at the start is dropped. Empty lines are
 * yielded. A text of zero bytes has no lines.
 *
 * Throws `ERR_LINE_LENGTH` for a line beyond `maxBytes`, `ERR_TEXT_ENCODING` for bytes that are not UTF-8,
 * `ERR_FILE_COMPRESSED` for a packed file, and `ERR_FILE_*` when the path cannot be read.
 */
export async function* readLines(source: LineSource, options: LineOptions = {}): AsyncGenerator<Line> {
  checkKeys(options, ['name', 'maxBytes', 'signal']);
  if (typeof source !== 'string') checkIterable('source', source, 'bytes, or a path');
  const name = checkString('name', sourceName(source, options));
  const maxBytes = checkInteger('maxBytes', options.maxBytes ?? MAX_LINE_BYTES, 1, Number.MAX_SAFE_INTEGER);
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let number = 1;
  let pieces: Uint8Array[] = [];
  let length = 0;

  const add = (piece: Uint8Array) => {
    length += piece.length;
    // One byte more for the CR of a CRLF, which is not known to be one before the next byte is here.
    if (length > maxBytes + 1) throw tooLong(name, number, maxBytes);
    if (piece.length > 0) pieces.push(piece);
  };
  const finish = (): Line => {
    let bytes = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
    if (bytes.at(-1) === 0x0d) bytes = bytes.subarray(0, -1);
    if (bytes.length > maxBytes) throw tooLong(name, number, maxBytes);
    const where = `${name}:${number}`;
    const text = decode(decoder, bytes, where);
    const line = { text: number === 1 ? text.replace(/^\uFEFF/, '') : text, number, where };
    number++;
    pieces = [];
    length = 0;
    return line;
  };

  for await (const chunk of byteChunks(source, name, options.signal)) {
    throwIfAborted(options.signal);
    let begin = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, begin)) {
      add(chunk.subarray(begin, end));
      yield finish();
      begin = end + 1;
    }
    add(chunk.subarray(begin));
  }
  if (length > 0) yield finish();
}

/**
 * The objects of a JSON Lines text, one a line, with the line they stand on. Lines of white space alone are skipped.
 *
 * Throws what `readLines` throws, `ERR_JSON_LINE` for a line that is not a JSON object, and `ERR_FILE_EMPTY` when
 * there is none at all.
 */
export async function* readJsonLines(source: LineSource, options: LineOptions = {}): AsyncGenerator<JsonLine> {
  let empty = true;
  for await (const line of readLines(source, options)) {
    if (line.text.trim() === '') continue;
    empty = false;
    yield parseJsonLine(line);
  }
  if (empty) throw emptyFile(sourceName(source, options), 'one JSON object a line');
}

/** A line with the JSON object that it holds. Throws `ERR_JSON_LINE` when it holds none. */
export function parseJsonLine(line: Line): JsonLine {
  let value: unknown;
  try {
    value = JSON.parse(line.text);
  } catch (error) {
    throw new FlesError(
      'ERR_JSON_LINE',
      `${line.where} is not JSON (${messageOf(error)}), expected one object a line`,
      {
        cause: error,
      },
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new FlesError('ERR_JSON_LINE', `${line.where} holds ${line.text.slice(0, 40)}, expected a JSON object`);
  }
  return { ...line, value: value as Record<string, unknown> };
}

/** A string field of a record. Throws `ERR_RECORD_FIELD` when it is absent or of another type, `ERR_TEXT_SURROGATE`
 * when it holds half of a surrogate pair, which no UTF-8 file can represent. */
export function stringField(line: JsonLine, field: string): string {
  const value = line.value[field];
  if (typeof value !== 'string') {
    const seen = value === undefined ? 'is absent' : `is ${JSON.stringify(value).slice(0, 60)}`;
    throw new FlesError('ERR_RECORD_FIELD', `${line.where} field "${field}" ${seen}, expected a string`);
  }
  const lone = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/.exec(value);
  if (lone) {
    const code = value.charCodeAt(lone.index).toString(16).toUpperCase();
    throw new FlesError(
      'ERR_TEXT_SURROGATE',
      `${line.where} field "${field}" holds the lone surrogate U+${code} at character ${lone.index}, expected whole characters; remove it`,
    );
  }
  return value;
}

/**
 * An id: a string of 1 character or more, or an integer, which stands for its decimal digits. Throws what `stringField`
 * throws; integers beyond 2^53, whose digits JSON does not keep, are refused.
 */
export function idField(line: JsonLine, field: string): string {
  const value = line.value[field];
  if (Number.isSafeInteger(value)) return String(value);
  const id = stringField(line, field);
  if (id === '') {
    throw new FlesError('ERR_RECORD_FIELD', `${line.where} has an empty id, expected at least 1 character`);
  }
  return id;
}

/** Adds an id to those seen. Throws `ERR_ID_DUPLICATE` when it is among them. */
export function checkNewId(seen: LargeMap<true>, id: string, line: Pick<Line, 'where'>): void {
  if (seen.get(id)) {
    throw new FlesError(
      'ERR_ID_DUPLICATE',
      `${line.where} has the id ${JSON.stringify(id)} a second time; ids are unique`,
    );
  }
  seen.add(id, true);
}

/** The error of a file that holds nothing. */
export function emptyFile(name: string, expected: string): FlesError {
  return new FlesError('ERR_FILE_EMPTY', `${name} is empty, expected ${expected}`);
}

/** What errors call a source. */
export function sourceName(source: LineSource, options: LineOptions = {}): string {
  return options.name ?? (typeof source === 'string' ? source : 'input');
}

async function* byteChunks(source: LineSource, name: string, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
  let first = true;
  try {
    const stream = typeof source === 'string' ? createReadStream(source, { highWaterMark: 1 << 18 }) : source;
    for await (const chunk of abortable<Uint8Array | string>(stream, signal)) {
      const bytes =
        typeof chunk === 'string'
          ? Buffer.from(chunk)
          : Buffer.from(checkBytes(chunk).buffer, chunk.byteOffset, chunk.byteLength);
      if (first) refuseCompressed(bytes, name);
      first = false;
      yield bytes;
    }
  } catch (error) {
    throw fileError(error, name);
  }
}

function checkBytes(chunk: Uint8Array): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  throw new FlesError('ERR_ARGUMENT_TYPE', `the source yields ${show(chunk)}, expected a Uint8Array or a string`);
}

function decode(decoder: TextDecoder, bytes: Uint8Array, where: string): string {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw new FlesError('ERR_TEXT_ENCODING', `${where} is not valid UTF-8; convert the file to UTF-8`, {
      cause: error,
    });
  }
}

function tooLong(name: string, number: number, maxBytes: number): FlesError {
  return new FlesError('ERR_LINE_LENGTH', `${name}:${number} is longer than ${maxBytes} bytes, the longest line read`);
}
