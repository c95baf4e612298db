import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { checkArray, checkInteger } from '../../check';
import { FlesError, fileError, throwIfAborted } from '../../errors';
import { refuseCompressed } from '../../text/compressed';
import { MAX_LINE_BYTES } from '../../text/lines';

export interface ScanOptions {
  signal?: AbortSignal;
  /** Bytes read so far, and those of the file. */
  onProgress?(done: number, total: number): void;
}

/** Looks at a line, `bytes[begin..end)` without its end. `number` counts from 1; blank lines are not shown. */
export type LineVisitor = (bytes: Buffer, begin: number, end: number, number: number) => void;

/** Places of lines kept at most: 16 MiB. */
const MOST_PLACES = 2 ** 21;
const CHUNK_BYTES = 2 ** 20;

/** What tells that a file was written to: size and time of change. */
interface Version {
  size: number;
  changed: bigint;
}

/**
 * The lines of a UTF-8 file by number, read when they are asked for.
 *
 * Opening reads the file once from end to end. What stays in memory is where every `stride`-th line begins, at most
 * `MOST_PLACES` of them: a file with more lines has a larger stride, and a line costs one read of `stride` lines.
 * Lines of white space alone count for nothing; LF and CRLF end a line and a byte order mark is dropped, as `readLines` does.
 */
export class LineFile {
  readonly path: string;
  readonly #file: FileHandle;
  readonly #mostPlaces: number;
  #version: Version;
  #places = new Float64Array(1024);
  #stride = 1;
  #count = 0;
  /** Where the last line ends. */
  #end = 0;
  #fingerprint = '';

  private constructor(path: string, file: FileHandle, version: Version, mostPlaces: number) {
    this.path = path;
    this.#file = file;
    this.#version = version;
    this.#mostPlaces = mostPlaces;
  }

  /**
   * Opens a file and shows every line to `visit`, which throws what is wrong with it.
   *
   * Throws `ERR_FILE_*`, `ERR_FILE_EMPTY` (no line, naming what was `expected`), `ERR_FILE_COMPRESSED`, `ERR_LINE_LENGTH`,
   * `ERR_TEXT_ENCODING`, `ERR_DATA_CHANGED`, what `visit` throws, and the reason of an aborted signal.
   */
  static async open(
    path: string,
    expected: string,
    visit: LineVisitor,
    options: ScanOptions & { mostPlaces?: number } = {},
  ): Promise<LineFile> {
    let handle: FileHandle | undefined;
    try {
      await checkPlain(path);
      handle = await open(path, 'r');
      const file = new LineFile(path, handle, await versionOf(handle), options.mostPlaces ?? MOST_PLACES);
      const hash = createHash('sha256');
      await file.#scan(
        (bytes, begin, end, number, offset) => {
          file.#add(offset, offset + end - begin);
          visit(bytes, begin, end, number);
        },
        options,
        (chunk) => hash.update(chunk),
      );
      if (file.#count === 0) throw new FlesError('ERR_FILE_EMPTY', `${path} is empty, expected ${expected}`);
      file.#fingerprint = hash.digest('hex');
      return file;
    } catch (error) {
      await handle?.close();
      throw fileError(error, path);
    }
  }

  /** Lines that are not blank. */
  get count(): number {
    return this.#count;
  }

  /** SHA-256 of the content, in hexadecimal digits. */
  get fingerprint(): string {
    return this.#fingerprint;
  }

  /** Lines between two places that are kept. */
  get stride(): number {
    return this.#stride;
  }

  /** The lines of these numbers, each in 0..count-1, in the order asked. Throws `ERR_DATA_CHANGED` and `ERR_FILE_IO`. */
  async read(numbers: readonly number[]): Promise<string[]> {
    checkArray('numbers', numbers, 'integers');
    try {
      const lines = await Promise.all(numbers.map((number) => this.#readOne(number)));
      // Behind the reads, so that a change before or among them shows.
      await this.#checkVersion();
      return lines.map((line) => line ?? this.#changed());
    } catch (error) {
      throw fileError(error, this.path);
    }
  }

  /** Shows every line again, from the first to the last. Throws what `open` throws. */
  async visit(visit: LineVisitor, options: ScanOptions = {}): Promise<void> {
    try {
      await this.#scan(visit, options);
    } catch (error) {
      throw fileError(error, this.path);
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #readOne(number: number): Promise<string | undefined> {
    const { begin, length } = this.#block(number);
    const { bytesRead, buffer } = await this.#file.read(Buffer.allocUnsafe(length), 0, length, begin);
    return lineIn(buffer.subarray(0, bytesRead), number % this.#stride);
  }

  /** The bytes from the place before a line to the next place. */
  #block(number: number): { begin: number; length: number } {
    checkInteger(`a number of a line of ${this.path}`, number, 0, this.#count - 1);
    const place = Math.floor(number / this.#stride);
    const begin = this.#places[place]!;
    const isLast = (place + 1) * this.#stride >= this.#count;
    return { begin, length: (isLast ? this.#end : this.#places[place + 1]!) - begin };
  }

  #add(offset: number, end: number): void {
    if (this.#count % this.#stride === 0) {
      let place = this.#count / this.#stride;
      if (place === this.#mostPlaces) {
        // Every second place goes, so that the memory is bounded whatever the file.
        this.#stride *= 2;
        place /= 2;
        for (let i = 0; i < place; i++) this.#places[i] = this.#places[2 * i]!;
      } else if (place === this.#places.length) {
        const larger = new Float64Array(Math.min(2 * place, this.#mostPlaces));
        larger.set(this.#places);
        this.#places = larger;
      }
      this.#places[place] = offset;
    }
    this.#count++;
    this.#end = end;
  }

  async #scan(
    visit: (...line: [...Parameters<LineVisitor>, offset: number]) => void,
    { signal, onProgress }: ScanOptions,
    onChunk?: (chunk: Buffer) => void,
  ): Promise<void> {
    let buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    /** Bytes in the buffer, the first of which stands at `offset` in the file. */
    let filled = 0;
    let offset = 0;
    let number = 1;
    for (;;) {
      throwIfAborted(signal);
      // What is appended meanwhile is not read, or a file that grows would never end; it shows in the version.
      const wanted = Math.min(buffer.length - filled, this.#version.size - offset - filled);
      const { bytesRead } = await this.#file.read(buffer, filled, wanted, offset + filled);
      onChunk?.(buffer.subarray(filled, filled + bytesRead));
      filled += bytesRead;
      const valid = buffer.subarray(0, filled);
      const linesEnd = bytesRead === 0 ? filled : valid.lastIndexOf(0x0a) + 1;
      if (!isUtf8(valid.subarray(0, linesEnd))) throw this.#encodingError(valid, number);
      for (let begin = 0; begin < linesEnd; number++) {
        const lineEnd = valid.indexOf(0x0a, begin);
        const next = lineEnd < 0 ? filled : lineEnd + 1;
        let end = lineEnd < 0 ? filled : lineEnd;
        if (number === 1 && hasMark(valid)) begin = 3;
        if (end > begin && valid[end - 1] === 0x0d) end--;
        if (end - begin > MAX_LINE_BYTES) throw this.#lengthError(number);
        if (!isBlank(valid, begin, end)) visit(valid, begin, end, number, offset + begin);
        begin = next;
      }
      if (bytesRead === 0) break;
      buffer.copyWithin(0, linesEnd, filled);
      filled -= linesEnd;
      offset += linesEnd;
      if (filled === buffer.length) {
        if (filled > MAX_LINE_BYTES) throw this.#lengthError(number);
        buffer = Buffer.concat([buffer], 2 * filled);
      }
      onProgress?.(offset, this.#version.size);
    }
    await this.#checkVersion();
  }

  async #checkVersion(): Promise<void> {
    const version = await versionOf(this.#file);
    const { size, changed } = this.#version;
    if (version.size === size && version.changed === changed) return;
    // Only touched, it is as good as before.
    const same = version.size === size && this.#fingerprint !== '' && (await this.#hash()) === this.#fingerprint;
    if (!same) this.#changed(version.size);
    this.#version = version;
  }

  async #hash(): Promise<string> {
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let offset = 0; ; ) {
      const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, offset);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(buffer.subarray(0, bytesRead));
      offset += bytesRead;
    }
  }

  #changed(size?: number): never {
    const seen =
      size === undefined || size === this.#version.size ? '' : ` from ${this.#version.size} to ${size} bytes`;
    throw new FlesError(
      'ERR_DATA_CHANGED',
      `${this.path} changed${seen} after it was opened, expected a file that nobody writes to; start again`,
    );
  }

  #lengthError(number: number): FlesError {
    return new FlesError(
      'ERR_LINE_LENGTH',
      `${this.path}:${number} is longer than ${MAX_LINE_BYTES} bytes, the longest line read`,
    );
  }

  /** The error of the first line that is not UTF-8 among some whose first has this number. */
  #encodingError(bytes: Buffer, number: number): FlesError {
    for (let begin = 0; begin < bytes.length; number++) {
      const end = bytes.indexOf(0x0a, begin) + 1 || bytes.length;
      if (!isUtf8(bytes.subarray(begin, end))) break;
      begin = end;
    }
    return new FlesError('ERR_TEXT_ENCODING', `${this.path}:${number} is not valid UTF-8; convert the file to UTF-8`);
  }
}

async function versionOf(file: FileHandle): Promise<Version> {
  const { size, mtimeNs } = await file.stat({ bigint: true });
  return { size: Number(size), changed: mtimeNs };
}

/**
 * Refuses what is no file of which any line can be read by itself, such as a pipe or what people compress text with.
 *
 * Throws `ERR_FILE_KIND`, `ERR_FILE_COMPRESSED` and what `fileError` makes of a failure to read.
 */
export async function checkPlain(path: string): Promise<void> {
  let file: FileHandle | undefined;
  try {
    // Opening a pipe would wait for somebody to write to it.
    if (!(await stat(path)).isFile()) {
      throw new FlesError('ERR_FILE_KIND', `${path} is no regular file, expected one of which any line can be read`);
    }
    file = await open(path, 'r');
    const { buffer, bytesRead } = await file.read(Buffer.alloc(8), 0, 8, 0);
    refuseCompressed(buffer.subarray(0, bytesRead), path);
  } catch (error) {
    throw fileError(error, path);
  } finally {
    await file?.close();
  }
}

/** The line so many lines into a block, without blank ones; undefined when it has too few. */
function lineIn(block: Buffer, skip: number): string | undefined {
  for (let begin = 0; begin < block.length; ) {
    const lineEnd = block.indexOf(0x0a, begin);
    const next = lineEnd < 0 ? block.length : lineEnd + 1;
    let end = lineEnd < 0 ? block.length : lineEnd;
    if (end > begin && block[end - 1] === 0x0d) end--;
    if (!isBlank(block, begin, end) && skip-- === 0) return block.toString('utf8', begin, end);
    begin = next;
  }
  return undefined;
}

/** Whether there is white space alone: NUL and its like, which a crash may leave of a line, are none. */
function isBlank(bytes: Buffer, begin: number, end: number): boolean {
  for (let i = begin; i < end; i++) {
    const byte = bytes[i]!;
    if (byte !== 0x20 && (byte < 0x09 || byte > 0x0d)) return false;
  }
  return true;
}

function hasMark(bytes: Buffer): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
}
