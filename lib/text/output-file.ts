import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { FlesError, fileError } from '../errors';

/**
 * Writes a text file that is either whole or not there: into a temporary name in the same directory, flushed to the
 * disk, then renamed over `path`. When `chunks` throws or the write fails, the temporary file is removed and whatever
 * stood at `path` stays. What is not a regular file (a device, a named pipe) is written in place: renaming over it would replace it.
 *
 * Throws `ERR_FILE_*` and `ERR_DISK_FULL` naming the path.
 */
export async function writeTextFile(path: string, chunks: Iterable<string> | AsyncIterable<string>): Promise<void> {
  if (await isSpecialFile(path)) return writeInPlace(path, chunks);
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  let file: FileHandle | undefined;
  try {
    file = await open(temporary, 'wx');
    let buffer = '';
    for await (const chunk of chunks) {
      buffer += chunk;
      if (buffer.length >= 1 << 16) {
        await file.appendFile(buffer);
        buffer = '';
      }
    }
    await file.appendFile(buffer);
    await file.sync();
    await file.close();
    file = undefined;
    await rename(temporary, path);
  } catch (error) {
    await file?.close().catch(() => undefined);
    await rm(temporary, { force: true }).catch(() => undefined);
    // An error that is named already speaks of what the chunks come from.
    throw error instanceof FlesError ? error : await outputError(error, path);
  }
}

async function writeInPlace(path: string, chunks: Iterable<string> | AsyncIterable<string>): Promise<void> {
  try {
    await pipeline(Readable.from(chunks), createWriteStream(path));
  } catch (error) {
    throw fileError(error, path);
  }
}

/** Whether `path` exists and is neither a regular file nor a directory. */
export async function isSpecialFile(path: string): Promise<boolean> {
  try {
    const status = await stat(path);
    return !status.isFile() && !status.isDirectory();
  } catch {
    return false;
  }
}

/**
 * Appends to the open file `path`. What a failed write has put there is cut off again: the file ends as it did.
 *
 * Throws `ERR_FILE_*` and `ERR_DISK_FULL` naming the path.
 */
export async function appendWhole(file: FileHandle, data: string | Uint8Array, path: string): Promise<void> {
  let size: number | undefined;
  try {
    size = (await file.stat()).size;
    await file.appendFile(data);
  } catch (error) {
    if (size !== undefined) await file.truncate(size).catch(() => undefined);
    throw fileError(error, path);
  }
}

/**
 * What `fileError` makes of the failure to write `path`, also when it came under the name of a temporary file beside it.
 * A directory that is there and yet answers "does not exist", as /proc does, takes no files.
 */
export async function outputError(error: unknown, path: string): Promise<unknown> {
  const cause = error instanceof FlesError && error.code.startsWith('ERR_FILE_') ? (error.cause ?? error) : error;
  if ((cause as NodeJS.ErrnoException | undefined)?.code !== 'ENOENT') return fileError(cause, path);
  const directory = dirname(path);
  return stat(directory).then(
    () => new FlesError('ERR_FILE_ACCESS', `${path} cannot be made in ${directory}; choose another path`, { cause }),
    () => fileError(cause, path),
  );
}
