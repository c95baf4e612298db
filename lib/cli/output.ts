import { type BigIntStats, constants, fstatSync } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { FlesError, fileError } from '../errors';
import { writeTextFile } from '../text/output-file';

/** Writes the chunks to `path` as `writeTextFile` does, or to standard output for `-`. */
export async function writeOutput(path: string, chunks: AsyncIterable<string>): Promise<void> {
  return path === '-' ? writeStdout(chunks) : writeTextFile(path, chunks);
}

/** Writes to standard output at the pace of its reader. */
export async function writeStdout(chunks: AsyncIterable<string> | Iterable<string>): Promise<void> {
  try {
    await pipeline(Readable.from(chunks), process.stdout, { end: false });
  } catch (error) {
    throw fileError(error, 'standard output');
  }
}

/**
 * Refuses an output path that cannot become a file before any work is done for it: its directory must exist and be writable,
 * it must not be a directory itself, and none of the inputs, which it would replace.
 *
 * Throws `ERR_FILE_*` and `ERR_OUTPUT_IS_INPUT`.
 *
 * @param inputs files that the command reads, `-` for standard input; those that are not there or were not given count for nothing
 */
export async function checkOutputPath(path: string, inputs: readonly (string | undefined)[] = []): Promise<void> {
  await refuseInput(path, inputs);
  if (path === '-') return;
  const directory = dirname(path);
  const folder = await stat(directory).catch((error) => {
    throw fileError(error, directory);
  });
  if (!folder.isDirectory()) throw new FlesError('ERR_FILE_KIND', `${directory} is not a directory; check the path`);
  const target = await stat(path).catch(() => undefined);
  if (target === undefined || target.isFile()) {
    await access(directory, constants.W_OK).catch((error) => {
      throw fileError(error, directory);
    });
  }
  if (target?.isDirectory()) {
    throw new FlesError('ERR_FILE_KIND', `${path} is a directory, expected the name of a file to write`);
  }
}

/** Throws `ERR_OUTPUT_IS_INPUT` when the output is the same file as one of the inputs, under whatever name. */
async function refuseInput(output: string, inputs: readonly (string | undefined)[]): Promise<void> {
  const target = await regularFile(output, process.stdout.fd);
  if (target === undefined) return;
  for (const input of inputs) {
    const source = input === undefined ? undefined : await regularFile(input, process.stdin.fd);
    if (source?.dev !== target.dev || source.ino !== target.ino) continue;
    throw new FlesError(
      'ERR_OUTPUT_IS_INPUT',
      `${nameOf(output, 'standard output')} is the same file as the input ${nameOf(input!, 'standard input')}, which would be lost; choose another output`,
    );
  }
}

/** The regular file under a path, or behind `descriptor` for `-`; undefined when there is none. */
async function regularFile(path: string, descriptor: number): Promise<BigIntStats | undefined> {
  try {
    const status = path === '-' ? fstatSync(descriptor, { bigint: true }) : await stat(path, { bigint: true });
    return status.isFile() ? status : undefined;
  } catch {
    return undefined;
  }
}

const nameOf = (path: string, stream: string) => (path === '-' ? stream : path);
