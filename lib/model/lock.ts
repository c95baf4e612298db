import { randomBytes } from 'node:crypto';
import { type FileHandle, open, readFile, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileError, throwIfAborted } from '../errors';
import { makeDirectory } from '../make-directory';

/** A lock whose file was not touched for so long belongs to a process that is gone, unless that can be seen to live. */
const STALE_MS = 30_000;

/**
 * Runs `work` while no other call, of this process or another, runs under the same lock file. The file holds the owner and is
 * touched while the work goes on, so that the lock of a killed process is taken over: at once on the same machine, after half
 * a minute from another. A process is told from a later one of the same number by when it started, where /proc says so.
 */
export async function withLock<T>(path: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  const owner = await acquire(path, signal);
  const touch = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {});
  }, STALE_MS / 4);
  touch.unref();
  try {
    return await work();
  } finally {
    clearInterval(touch);
    // One that another has taken over meanwhile is not ours to remove.
    if ((await readFile(path, 'utf8').catch(() => undefined)) === owner) await rm(path, { force: true });
  }
}

/** What the lock file says of its owner, which is no other's. */
async function acquire(path: string, signal: AbortSignal | undefined): Promise<string> {
  try {
    await makeDirectory(dirname(path));
    for (;;) {
      const file = await open(path, 'wx').catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
      if (file) return await writeOwner(file, path);
      if ((await isStale(path)) && (await removeStale(path))) continue;
      await sleep(100, undefined, { signal }).catch(() => throwIfAborted(signal));
    }
  } catch (error) {
    throw fileError(error, path);
  }
}

/** Without room for the owner there is no lock: an empty one would keep others out for a while. */
async function writeOwner(file: FileHandle, path: string): Promise<string> {
  try {
    const start = (await startOf(process.pid)) ?? '';
    const owner = `${hostname()} ${process.pid} ${start} ${randomBytes(8).toString('hex')}`;
    await file.writeFile(owner);
    await file.close();
    return owner;
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(path, { force: true }).catch(() => undefined);
    throw error;
  }
}

/**
 * Removes a stale lock, one taker at a time: of two that have seen it, the second would remove the lock that the first has taken
 * meanwhile. Returns false while another one is at it.
 */
async function removeStale(path: string): Promise<boolean> {
  const guard = `${path}.takeover`;
  const file = await open(guard, 'wx').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  if (!file) {
    // It stands for a moment, unless its process was killed in it.
    const age = await stat(guard).then(
      ({ mtimeMs }) => Math.abs(Date.now() - mtimeMs),
      () => 0,
    );
    if (age > STALE_MS) await rm(guard, { force: true });
    return false;
  }
  try {
    await file.close();
    if (await isStale(path)) await rm(path, { force: true });
    return true;
  } finally {
    await rm(guard, { force: true });
  }
}

async function isStale(path: string): Promise<boolean> {
  try {
    // A clock that was set back leaves a time in the future, which must not last for ever.
    const age = Math.abs(Date.now() - (await stat(path)).mtimeMs);
    const [host, pid, start] = (await readFile(path, 'utf8')).split(' ');
    if (host !== hostname()) return age > STALE_MS;
    if (!isAlive(Number(pid))) return true;
    return start ? start !== (await startOf(Number(pid))) : age > STALE_MS;
  } catch {
    // Released meanwhile.
    return false;
  }
}

/** When a process started, in ticks since the machine did; undefined where that cannot be seen. */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The name of the program, in parentheses, may hold anything; the start is the 20th field behind it.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
