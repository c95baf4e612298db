import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { FlesError, fileError } from './errors';

/**
 * Makes a directory with its parents; one that is there is fine. Node's own `recursive` never returns where a file system
 * answers ENOENT for a child of a directory that exists, as /proc does.
 *
 * @throws FlesError `ERR_FILE_NAME` (an empty one, which is not meant to be the current directory), `ERR_FILE_ACCESS`, `ERR_FILE_KIND` (a file is in the way), `ERR_FILE_NOT_FOUND`, `ERR_DISK_FULL`
 */
export async function makeDirectory(path: string): Promise<void> {
  if (path === '') {
    throw new FlesError('ERR_FILE_NAME', 'the directory is "", expected a path; "." is the current one');
  }
  const full = resolve(path);
  if (await makeOne(full)) return;
  if (!(await exists(dirname(full)))) await makeDirectory(dirname(full));
  if (!(await makeOne(full))) {
    throw new FlesError('ERR_FILE_ACCESS', `${full} cannot be made in a directory that exists; choose another path`);
  }
}

/** Whether the directory is there now; false when its parent is not. */
async function makeOne(path: string): Promise<boolean> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return false;
    if (code !== 'EEXIST') throw fileError(error, path);
    if (!(await stat(path)).isDirectory()) {
      throw new FlesError('ERR_FILE_KIND', `${path} is a file, expected a directory; choose another path`);
    }
  }
  return true;
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
