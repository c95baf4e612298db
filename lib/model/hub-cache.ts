import { randomUUID } from 'node:crypto';
import { copyFile, link, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { fileError } from '../errors';
import { makeDirectory } from '../make-directory';
import { exists } from './modules';

// The cache of Python's huggingface_hub, shared with it:
//   models--ORG--NAME/blobs/HASH                  the files, named by their hash
//   models--ORG--NAME/snapshots/COMMIT/PATH       symbolic links to them
//   models--ORG--NAME/refs/REVISION               the commit that a branch or tag stood for

/** Folder of the Hugging Face cache: HF_HUB_CACHE, or `hub` in HF_HOME, or in ~/.cache/huggingface. */
export function hubCacheDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const cache = environment.HF_HUB_CACHE || environment.HUGGINGFACE_HUB_CACHE;
  return cache ? expandHome(cache) : join(hubHome(environment), 'hub');
}

/** The token to read models with: HF_TOKEN, or what `hf auth login` stored. */
export async function storedToken(environment: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  const given = environment.HF_TOKEN || environment.HUGGING_FACE_HUB_TOKEN;
  if (given) return given.trim() || undefined;
  const path = environment.HF_TOKEN_PATH ? expandHome(environment.HF_TOKEN_PATH) : join(hubHome(environment), 'token');
  const token = await readFile(path, 'utf8').catch(() => '');
  return token.trim() || undefined;
}

/** Whether HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) forbids the network. */
export function isOffline(environment: NodeJS.ProcessEnv = process.env): boolean {
  const value = environment.HF_HUB_OFFLINE || environment.TRANSFORMERS_OFFLINE || '';
  return ['1', 'ON', 'YES', 'TRUE'].includes(value.toUpperCase());
}

function hubHome(environment: NodeJS.ProcessEnv): string {
  if (environment.HF_HOME) return expandHome(environment.HF_HOME);
  const cache = environment.XDG_CACHE_HOME ? expandHome(environment.XDG_CACHE_HOME) : join(homedir(), '.cache');
  return join(cache, 'huggingface');
}

function expandHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path;
}

/** The folder of one model in the cache. */
export class CachedModel {
  readonly directory: string;

  constructor(
    private readonly cache: string,
    id: string,
  ) {
    this.directory = join(cache, `models--${id.replace('/', '--')}`);
  }

  blob(hash: string): string {
    return join(this.directory, 'blobs', hash);
  }

  snapshot(commit: string): string {
    return join(this.directory, 'snapshots', commit);
  }

  lock(hash: string): string {
    return join(this.cache, '.locks', basename(this.directory), `${hash}.fles`);
  }

  /** The snapshot that a revision had when it was last looked up, if it holds a model. */
  async find(revision: string): Promise<string | undefined> {
    const commit = isCommit(revision) ? revision : await this.#ref(revision);
    if (!isCommit(commit)) return undefined;
    const snapshot = this.snapshot(commit);
    return (await holdsModel(snapshot)) ? snapshot : undefined;
  }

  /** Makes the snapshot's link to a blob. */
  async addPointer(commit: string, path: string, hash: string): Promise<void> {
    const pointer = join(this.snapshot(commit), path);
    if (await exists(pointer)) return;
    try {
      await makeDirectory(dirname(pointer));
      await pointTo(this.blob(hash), pointer);
    } catch (error) {
      // Another process may have made it meanwhile.
      if (!(await exists(pointer))) throw fileError(error, pointer);
    }
  }

  /** Notes the commit of a branch or tag. */
  async setRef(revision: string, commit: string): Promise<void> {
    // A cache that has everything may be read-only.
    if ((await this.#ref(revision)) === commit) return;
    const path = join(this.directory, 'refs', revision);
    try {
      await makeDirectory(dirname(path));
      const temporary = `${path}.${randomUUID()}.tmp`;
      await writeFile(temporary, commit);
      await rename(temporary, path);
    } catch (error) {
      throw fileError(error, path);
    }
  }

  async #ref(revision: string): Promise<string> {
    const text = await readFile(join(this.directory, 'refs', revision), 'utf8').catch(() => '');
    return text.trim();
  }
}

export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/** Symbolic links need a privilege on Windows; there a second name of the same file, or a copy, does. */
async function pointTo(blob: string, pointer: string): Promise<void> {
  try {
    await symlink(relative(dirname(pointer), blob), pointer);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw error;
    await link(blob, pointer).catch(() => copyFile(blob, pointer));
  }
}

/** Python fills a snapshot file by file: one with a configuration alone is no model yet. */
async function holdsModel(snapshot: string): Promise<boolean> {
  const files = await readdir(snapshot, { recursive: true }).catch(() => []);
  return [/(^|[\\/])config\.json$/, /(^|[\\/])model.*\.safetensors$/, /(^|[\\/])(tokenizer\.json|vocab\.txt)$/].every(
    (name) => files.some((file) => name.test(file)),
  );
}
