import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileError } from '../errors';

/**
 * Writes a text file that is either whole or not there: into a temporary name in the same directory, flushed to the
 * disk, then renamed over `path`. When `chunks` throws or the write fails, the temporary file is removed and whatever
 * stood at `path` stays.
 *
 * Throws `ERR_FILE_*` and `ERR_DISK_FULL` naming the path.
 */
export async function writeTextFile(path: string, chunks: Iterable<string> | AsyncIterable<string>): Promise<void> {
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
    throw fileError(error, path);
  }
}
