import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, realpath, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { abortable } from '../abortable';
import { checkBoolean, checkIterable, checkKeys, checkString, show } from '../check';
import { FlesError, fileError, throwIfAborted } from '../errors';
import { LargeMap } from '../large-map';
import { makeDirectory } from '../make-directory';
import { cancellable, type NativeIndexBuilder, native } from '../native';
import { checkWellFormed, Rows, TermIds, type VectorLike } from './vectors';

/** A document to be indexed: `id` is any string, unique in the index. */
export interface IndexDocument {
  id: string;
  vector: VectorLike;
}

export interface BuildOptions {
  /** Replace an index that stands in the directory (default true); false refuses with `ERR_INDEX_EXISTS`. */
  overwrite?: boolean;
  signal?: AbortSignal;
  /** Called now and then with the number of documents taken. */
  onProgress?(documents: number): void;
}

/** Rows are handed to the native core in batches of about this many postings. */
const BATCH_POSTINGS = 1 << 16;
const BATCH_DOCUMENTS = 1 << 12;

const TEMPORARY = '.tmp-';
/** Of a file's name, on the file systems of Linux and macOS. */
const MAX_NAME_BYTES = 255;

/**
 * Writes the index of `documents` into `directory`; see `InvertedIndex.build`.
 *
 * Everything is written into a temporary directory: `DIRECTORY.tmp-PID-RANDOM`, which is renamed to `directory` when it
 * is whole and on the disk; or, where `directory` exists (it may be a mount point, or its parent not writable),
 * `.tmp-PID-RANDOM` in it, whose file is then renamed over the old index's file. One rename decides, so that a crash at
 * any time leaves the old index or the new one.
 */
export async function buildIndex(
  directory: string,
  documents: Iterable<IndexDocument> | AsyncIterable<IndexDocument>,
  options: BuildOptions,
): Promise<void> {
  checkIterable('documents', documents, '{id, vector}');
  checkKeys(options, ['overwrite', 'signal', 'onProgress']);
  checkBoolean('overwrite', options.overwrite);
  throwIfAborted(options.signal);
  const overwrite = options.overwrite ?? true;
  const { path: destination, exists } = await checkDestination(directory, overwrite);
  const name = `${TEMPORARY}${process.pid}-${randomBytes(6).toString('hex')}`;
  const temporary = exists ? join(destination, name) : besideDirectory(destination, name);
  try {
    await makeDirectory(dirname(destination));
    await mkdir(temporary);
  } catch (error) {
    throw fileError(error, temporary);
  }
  let builder: NativeIndexBuilder | undefined;
  try {
    const writer = new native.NativeIndexBuilder(temporary);
    builder = writer;
    await appendAll(writer, documents, options);
    await cancellable(options.signal, (cancellation) => writer.finish(destination, overwrite, cancellation));
  } finally {
    builder?.dispose();
    // What cannot be removed stays: neither an index that is whole nor the reason of a failure is given up for it.
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** `DIRECTORY.tmp-PID-RANDOM`, so that errors tell whose it is; `.tmp-PID-RANDOM` where that is too long for a name. */
function besideDirectory(directory: string, name: string): string {
  const long = Buffer.byteLength(basename(directory) + name) > MAX_NAME_BYTES;
  return long ? join(dirname(directory), name) : directory + name;
}

async function appendAll(
  builder: NativeIndexBuilder,
  documents: Iterable<IndexDocument> | AsyncIterable<IndexDocument>,
  { signal, onProgress }: BuildOptions,
): Promise<void> {
  const lexicon = new Lexicon();
  const termIds = new TermIds((term) => lexicon.idOf(term));
  const rows = new Rows();
  let ids: string[] = [];
  let taken = 0;
  // One batch is sorted natively while the next is gathered.
  let underWay: Promise<void> = Promise.resolve();
  const flush = async () => {
    await underWay;
    underWay = builder.append(ids, lexicon.takeNew(), ...rows.arrays());
    underWay.catch(() => undefined); // awaited at the next flush
    ids = [];
    rows.clear();
    onProgress?.(taken);
  };
  try {
    for await (const document of abortable(documents, signal)) {
      throwIfAborted(signal);
      const id = checkWellFormed('the document id', checkString(`the id of document ${taken}`, document?.id));
      termIds.forEach(
        document.vector,
        () => `document ${show(id)}`,
        (term, weight) => rows.push(term, weight),
      );
      rows.endRow();
      ids.push(id);
      taken++;
      if (rows.postings >= BATCH_POSTINGS || rows.rows >= BATCH_DOCUMENTS) await flush();
    }
    await flush();
  } catch (error) {
    await underWay.catch(() => undefined); // its files are about to be removed; `error` came first
    throw error;
  }
  await underWay;
}

/** Term ids in the order of first use. */
class Lexicon {
  private readonly ids = new LargeMap<number>();
  private fresh: string[] = [];

  idOf(term: string): number {
    let id = this.ids.get(term);
    if (id === undefined) {
      id = this.ids.size;
      this.ids.add(checkWellFormed('the term', term), id);
      this.fresh.push(term);
    }
    return id;
  }

  /** Terms that came since the last call. */
  takeNew(): string[] {
    const fresh = this.fresh;
    this.fresh = [];
    return fresh;
  }
}

/** A directory of an index. Throws `ERR_ARGUMENT_TYPE`, `ERR_INDEX_DIRECTORY` for an empty name, `ERR_FILE_NAME` for one with a NUL. */
export function checkIndexDirectory(directory: string): string {
  if (checkString('directory', directory) === '') {
    throw new FlesError(
      'ERR_INDEX_DIRECTORY',
      'the directory of the index is "", expected a path; "." is the current one',
    );
  }
  if (directory.includes('\0')) {
    throw new FlesError('ERR_FILE_NAME', `${show(directory)} cannot be the name of a directory; choose another path`);
  }
  return directory;
}

/** The path to build at, symbolic links followed; refuses what is neither free, nor empty, nor an index. */
async function checkDestination(directory: string, overwrite: boolean): Promise<{ path: string; exists: boolean }> {
  let path: string;
  let entries: string[];
  try {
    path = await realpath(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return { path: resolve(directory), exists: false };
    }
    throw fileError(error, directory);
  }
  try {
    entries = (await readdir(path)).filter((entry) => !entry.startsWith(TEMPORARY)); // of builds that were killed
  } catch (error) {
    throw fileError(error, directory);
  }
  if (entries.length === 0) return { path, exists: true };
  if (!entries.includes('index.fles') || !(await isIndexFile(join(path, 'index.fles')))) {
    throw new FlesError(
      'ERR_INDEX_DIRECTORY',
      `${directory} is not empty and not an index; give a new or empty directory, or remove its contents`,
    );
  }
  if (!overwrite) {
    throw new FlesError('ERR_INDEX_EXISTS', `${directory} has an index already; set overwrite to replace it`);
  }
  return { path, exists: true };
}

async function isIndexFile(path: string): Promise<boolean> {
  try {
    if (!(await stat(path)).isFile()) return false; // opening a named pipe would wait for a writer
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(8), 0, 8, 0);
      return buffer.toString('latin1', 0, bytesRead) === 'FLESINDX';
    } finally {
      await file.close();
    }
  } catch (error) {
    throw fileError(error, path);
  }
}
