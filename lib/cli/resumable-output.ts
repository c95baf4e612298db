import { type FileHandle, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { show } from '../check';
import { FlesError, fileError } from '../errors';
import { withLock } from '../model/lock';
import { readLines } from '../text/lines';
import { outputError, writeTextFile } from '../text/output-file';

/** What a partial output depends on: the same values give the same lines. */
export type Fingerprint = Record<string, string | number | boolean | null>;

/**
 * The output of long work that outlives an interruption.
 *
 * Lines go to `PATH.partial`; `PATH.partial.json` beside it says with which options they were made. `finish` flushes the
 * file to the disk and renames it to `PATH`; until then nothing stands under that name that was not there before.
 *
 * To be used under `withOutput`, which keeps other runs away from the same `PATH`.
 */
export class ResumableOutput {
  private buffer = '';

  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
    /** Bytes in the file when it was opened: 0 for a fresh start. */
    readonly resumedBytes: number,
    private length: number,
  ) {}

  /** Starts anew; a partial output of an earlier run is thrown away. */
  static async create(path: string, fingerprint: Fingerprint): Promise<ResumableOutput> {
    try {
      await rm(partialPath(path), { force: true });
      await writeTextFile(fingerprintPath(path), [`${JSON.stringify(fingerprint)}\n`]);
      return await ResumableOutput.open(path, 'wx');
    } catch (error) {
      throw await outputError(error, path);
    }
  }

  /**
   * Goes on with the partial output of an earlier run, less a last line without end; starts anew where there is none.
   *
   * Throws `ERR_RESUME_MISMATCH` when the partial output was made with other options, naming them.
   */
  static async resume(path: string, fingerprint: Fingerprint): Promise<ResumableOutput> {
    let output: ResumableOutput;
    try {
      output = await ResumableOutput.open(path, 'r+');
    } catch (error) {
      if ((error as FlesError).code === 'ERR_FILE_NOT_FOUND') return ResumableOutput.create(path, fingerprint);
      throw error;
    }
    try {
      compare(path, await readFingerprint(path), fingerprint);
      return output;
    } catch (error) {
      await output.file.close();
      throw error;
    }
  }

  private static async open(path: string, flags: 'wx' | 'r+'): Promise<ResumableOutput> {
    const partial = partialPath(path);
    let file: FileHandle | undefined;
    try {
      file = await open(partial, flags);
      const length = await completeLength(file);
      return new ResumableOutput(path, file, length, length);
    } catch (error) {
      await file?.close();
      throw fileError(error, partial);
    }
  }

  /** The lines that an earlier run has left. */
  async *lines(): AsyncGenerator<{ text: string; where: string }> {
    if (this.resumedBytes === 0) return;
    const stream = this.file.createReadStream({ start: 0, end: this.resumedBytes - 1, autoClose: false });
    yield* readLines(stream, { name: partialPath(this.path), maxBytes: Number.MAX_SAFE_INTEGER });
  }

  /** Appends whole lines. */
  async append(lines: string): Promise<void> {
    this.buffer += lines;
    if (this.buffer.length >= 1 << 16) await this.flush();
  }

  /** Makes the partial output the final one. */
  async finish(): Promise<void> {
    try {
      await this.flush();
      await this.file.sync();
      const own = await this.isOwn();
      await this.file.close();
      if (!own) throw busy(this.path);
      await rename(partialPath(this.path), this.path);
    } catch (error) {
      throw fileError(error, this.path);
    }
    await rm(fingerprintPath(this.path), { force: true });
  }

  /** Keeps what is there for a later run, or removes the files when there is nothing. Returns whether anything was kept. */
  async suspend(): Promise<boolean> {
    // A full disk has been reported already, and the lines that did not fit are not counted.
    await this.flush().catch(() => undefined);
    const own = await this.isOwn();
    await this.file.close();
    if (!own) return false;
    if (this.length > 0) return true;
    await rm(partialPath(this.path), { force: true });
    await rm(fingerprintPath(this.path), { force: true });
    return false;
  }

  /** Whether the file under the partial name is still the one that is open here: a lock can be lost, a file replaced. */
  private async isOwn(): Promise<boolean> {
    const [here, there] = await Promise.all([
      this.file.stat({ bigint: true }),
      stat(partialPath(this.path), { bigint: true }).catch(() => undefined),
    ]);
    return here.dev === there?.dev && here.ino === there.ino;
  }

  private async flush(): Promise<void> {
    const bytes = Buffer.from(this.buffer);
    this.buffer = '';
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.file.write(bytes, done, bytes.length - done, this.length);
        done += bytesWritten;
        this.length += bytesWritten;
      }
    } catch (error) {
      throw fileError(error, partialPath(this.path));
    }
  }
}

/** How long a run waits for another one that is about to end. */
const PATIENCE_MS = 1000;

/**
 * Runs `work`, which writes the output `path`, while no other run does so; the lock of a killed process counts for nothing.
 *
 * Throws `ERR_OUTPUT_BUSY` when another run is at it.
 */
export async function withOutput<T>(path: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  let held = false;
  try {
    return await withLock(`${path}.partial.lock`, AbortSignal.any([signal, patience]), () => {
      held = true;
      return work();
    });
  } catch (error) {
    if (held) throw error;
    if (error === patience.reason) throw busy(path);
    throw await outputError(error, path);
  }
}

function busy(path: string): FlesError {
  return new FlesError(
    'ERR_OUTPUT_BUSY',
    `${path} is being written by another run; wait for its end, or choose another output`,
  );
}

/** Where unfinished output is kept. */
export function partialPath(path: string): string {
  return `${path}.partial`;
}

function fingerprintPath(path: string): string {
  return `${path}.partial.json`;
}

async function readFingerprint(path: string): Promise<Fingerprint> {
  try {
    return JSON.parse(await readFile(fingerprintPath(path), 'utf8'));
  } catch (error) {
    throw new FlesError(
      'ERR_RESUME_MISMATCH',
      `${fingerprintPath(path)}, which says how ${partialPath(path)} was made, cannot be read; leave out --resume to start anew`,
      { cause: error },
    );
  }
}

function compare(path: string, before: Fingerprint, now: Fingerprint): void {
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])];
  const different = names.filter((name) => before[name] !== now[name]);
  if (different.length === 0) return;
  const changes = different.map((name) => `${name} ${show(before[name])}, now ${show(now[name])}`);
  throw new FlesError(
    'ERR_RESUME_MISMATCH',
    `${partialPath(path)} was made with ${changes.join('; ')}; resume with the same options and input, or leave out --resume to start anew`,
  );
}

/** Bytes up to and with the last line end; a torn line behind it is cut off. */
async function completeLength(file: FileHandle): Promise<number> {
  const { size } = await file.stat();
  const chunk = Buffer.alloc(1 << 16);
  for (let end = size; end > 0; ) {
    const begin = Math.max(0, end - chunk.length);
    const { bytesRead } = await file.read(chunk, 0, end - begin, begin);
    const lineEnd = chunk.subarray(0, bytesRead).lastIndexOf(0x0a);
    if (lineEnd >= 0) {
      const length = begin + lineEnd + 1;
      if (length < size) await file.truncate(length);
      return length;
    }
    end = begin;
  }
  if (size > 0) await file.truncate(0);
  return 0;
}
