import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { temporaryFolder } from './temporary';

/** A folder that takes as many bytes as a test allows. */
export interface SmallDisk {
  /** The folder as the commands see it. */
  folder: string;
  /** The same folder as the test sees it. */
  seen: string;
  /** What a command has to be run under to see the folder and its limits. */
  under(): readonly string[];
  /** The code of the error when there is no room, and what its message says to do. */
  code: string;
  advice: string;
  /** Whether all files share the room; otherwise each has the same room for itself. */
  shared: boolean;
  /** Leaves room for so many bytes. */
  leave(bytes: number): Promise<void>;
  /** Makes room again. */
  free(): Promise<void>;
}

const MEGABYTES = 16;

const holders: ChildProcess[] = [];

afterEach(async () => {
  for (const holder of holders.splice(0)) {
    if (holder.exitCode !== null) continue;
    holder.stdin!.end();
    await once(holder, 'exit');
  }
});

/**
 * A file system in memory, which a process holds that goes with the test: first in a user namespace, which needs no privilege, then
 * as root. Where neither is allowed, as in many containers, a folder in which no file may grow above a size stands in for it: to
 * write then fails as on a full disk, with another error (EFBIG for ENOSPC).
 */
export async function smallDisk(): Promise<SmallDisk> {
  const folder = await temporaryFolder();
  return (
    (await mounted(folder, ['--user', '--map-root-user'], ['--user', '--preserve-credentials'])) ??
    (await mounted(folder, [], [])) ??
    limited(folder)
  );
}

async function mounted(folder: string, unshare: string[], enter: string[]): Promise<SmallDisk | undefined> {
  const script = 'mount -t tmpfs -o size="$1"m tmpfs "$2" && echo mounted && exec cat';
  const args = [...unshare, '--mount', 'sh', '-c', script, 'sh', String(MEGABYTES), folder];
  const holder = spawn('unshare', args, { stdio: ['pipe', 'pipe', 'ignore'] });
  const ready = await new Promise<boolean>((done) => {
    holder.once('error', () => done(false)).once('exit', () => done(false));
    holder.stdout.once('data', () => done(true));
  });
  if (!ready) return undefined;
  holders.push(holder);
  const under = ['nsenter', '--target', String(holder.pid), ...enter, '--mount'];
  if (spawnSync(under[0]!, [...under.slice(1), 'true']).status !== 0) return undefined;
  const seen = `/proc/${holder.pid}/root${folder}`;
  // Each file of a few bytes takes a page, which the tests reckon small.
  if ((await statfs(seen)).bsize > 4096) return undefined;
  const filler = join(seen, 'filler');
  const free = () => rm(filler, { force: true });
  return {
    folder,
    seen,
    under: () => under,
    code: 'ERR_DISK_FULL',
    advice: 'free some space and run again',
    shared: true,
    free,
    leave: async (bytes) => {
      await free();
      const { bavail, bsize } = await statfs(seen);
      await writeFile(filler, Buffer.alloc(bavail * bsize - bytes));
    },
  };
}

function limited(folder: string): SmallDisk {
  let under: string[] = [];
  return {
    folder,
    seen: folder,
    under: () => under,
    code: 'ERR_FILE_IO',
    advice: '',
    shared: false,
    leave: async (bytes) => {
      // sh counts in blocks of 512 bytes.
      under = ['sh', '-c', `ulimit -f ${Math.floor(bytes / 512)}; exec "$@"`, 'sh'];
    },
    free: async () => {
      under = [];
    },
  };
}
