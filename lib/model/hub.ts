import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { ListFileEntry } from '@huggingface/hub';
import { checkBoolean, checkKeys, checkString, show } from '../check';
import { FlesError, throwIfAborted } from '../errors';
import { download, type RemoteFile } from './download';
import { CachedModel, hubCacheDirectory, isCommit, isOffline, storedToken } from './hub-cache';
import { HubClient } from './hub-client';
import { withLock } from './lock';
import { exists } from './modules';

/** How far the download of a model is. */
export interface DownloadProgress {
  /** The file that is coming, by its path in the repository. */
  file: string;
  /** Bytes of all files that are here. */
  received: number;
  /** Bytes of all files. */
  total: number;
  filesDone: number;
  filesTotal: number;
}

export interface ResolveOptions {
  /** Branch, tag or commit. Default: `main`. */
  revision?: string;
  /** Access token of the hub. Default: HF_TOKEN, else what `hf auth login` stored. */
  token?: string;
  /** Folder of the Hugging Face cache. Default: HF_HUB_CACHE, else `hub` in HF_HOME, else ~/.cache/huggingface/hub. */
  cacheDir?: string;
  /** Use the cache alone. Default: HF_HUB_OFFLINE. */
  offline?: boolean;
  onProgress?(progress: DownloadProgress): void;
  signal?: AbortSignal;
}

const OPTIONS = ['revision', 'token', 'cacheDir', 'offline', 'onProgress', 'signal'];

/** Least time between two reports of progress within a file. */
const REPORT_MS = 100;

/**
 * The local folder of a model: an existing folder as it is, else the snapshot of a hub id (`organisation/name`, or `name` for some old ones) in the
 * Hugging Face cache, which Python's huggingface_hub shares, downloaded when it is not there.
 *
 * Only the files that `readModel` reads are downloaded. Each is verified by the hash that the hub announces before it gets
 * its name, and a broken download goes on where it was. The snapshot and the reference of its revision appear once all files
 * are there. When the hub cannot be reached, the snapshot that the revision had the last time is used.
 *
 * @throws FlesError `ERR_MODEL_NAME` (neither folder nor hub id), `ERR_HUB_NOT_FOUND`, `ERR_HUB_ACCESS`, `ERR_HUB_OFFLINE`
 *   (not in the cache), `ERR_HUB_NETWORK`, `ERR_HUB_BUSY`, `ERR_HUB_RESPONSE`, `ERR_HUB_HASH`, `ERR_MODEL_WEIGHTS` (no safetensors),
 *   `ERR_DISK_FULL`, `ERR_FILE_ACCESS`; the signal's reason
 */
export async function resolveModel(dirOrHubId: string, options: ResolveOptions = {}): Promise<string> {
  checkKeys(options, OPTIONS);
  const name = checkString('the model', dirOrHubId);
  for (const key of ['revision', 'token', 'cacheDir'] as const) {
    if (options[key] !== undefined) checkString(key, options[key]);
  }
  checkBoolean('offline', options.offline);
  throwIfAborted(options.signal);
  const isFolder = await stat(name).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  if (isFolder) return resolve(name);
  const revision = options.revision ?? 'main';
  if (!/^([\w-][\w.-]*\/)?[\w-][\w.-]*$/.test(name) || name.includes('..') || name.includes('--')) {
    throw new FlesError(
      'ERR_MODEL_NAME',
      `${show(name)} is neither an existing folder nor a hub id; expected a path, or organisation/name or name of a model on the hub`,
    );
  }
  if (!/^[\w.-]+(\/[\w.-]+)*$/.test(revision) || revision.includes('..')) {
    throw new FlesError('ERR_MODEL_NAME', `the revision is ${show(revision)}, expected a branch, a tag or a commit`);
  }
  const model = new CachedModel(resolve(options.cacheDir ?? hubCacheDirectory()), name);
  const cached = await model.find(revision);
  if (cached && isCommit(revision)) return cached;
  if (options.offline ?? isOffline()) {
    if (cached) return cached;
    throw new FlesError(
      'ERR_HUB_OFFLINE',
      `${name} at ${revision} is not in the cache ${model.directory} and the network is switched off; ` +
        'unset HF_HUB_OFFLINE (or the option offline) once to download it',
    );
  }
  try {
    return await fetchModel(name, revision, model, options);
  } catch (error) {
    if (!(error instanceof FlesError)) throw error;
    if (cached && /^ERR_HUB_(NETWORK|BUSY)$/.test(error.code)) return cached;
    // It may be the name of a folder that was mistyped.
    const { code, message } = error;
    const unknown = !name.includes('/') || /^ERR_HUB_(NETWORK|NOT_FOUND)$/.test(code);
    throw unknown ? new FlesError(code, `${message}; nor is there a folder ${name}`, { cause: error }) : error;
  }
}

async function fetchModel(id: string, revision: string, model: CachedModel, options: ResolveOptions): Promise<string> {
  const client = new HubClient(endpoint(), options.token?.trim() ?? (await storedToken()), options.signal);
  const { commit, files } = await listModel(client, id, revision);
  const progress = new Progress(files, options.onProgress);
  for (const file of files) {
    const blob = model.blob(file.hash);
    if (!(await exists(blob))) {
      await withLock(model.lock(file.hash), options.signal, async () => {
        if (await exists(blob)) return;
        await download(client, client.fileUrl(id, commit, file.path), file, blob, (bytes) =>
          progress.update(file, bytes),
        );
      });
    }
    progress.done(file);
  }
  for (const { path, hash } of files) await model.addPointer(commit, path, hash);
  if (!isCommit(revision)) await model.setRef(revision, commit);
  return model.snapshot(commit);
}

function endpoint(): string {
  const given = process.env.HF_ENDPOINT || 'https://huggingface.co';
  if (!/^https?:$/.test(URL.canParse(given) ? new URL(given).protocol : '')) {
    throw new FlesError('ERR_HUB_ENDPOINT', `HF_ENDPOINT is ${show(given)}, expected an http or https address`);
  }
  return given.replace(/\/+$/, '');
}

/** The commit of a revision and those of its files that a model needs. */
async function listModel(
  client: HubClient,
  id: string,
  revision: string,
): Promise<{ commit: string; files: RemoteFile[] }> {
  const { listFiles, modelInfo } = await import('@huggingface/hub');
  const request = { hubUrl: client.endpoint, fetch: client.fetch };
  const malformed = (what: string) =>
    new FlesError(
      'ERR_HUB_RESPONSE',
      `${client.endpoint} describes ${id} with ${what}; is HF_ENDPOINT a Hugging Face hub?`,
    );
  const { sha } = await client.retry(() => modelInfo({ ...request, name: id, revision, additionalFields: ['sha'] }));
  if (typeof sha !== 'string' || !isCommit(sha)) throw malformed(`the commit ${show(sha)}`);
  const entries = await client.retry(async () => {
    const list: ListFileEntry[] = [];
    for await (const entry of listFiles({ ...request, repo: id, revision: sha, recursive: true })) list.push(entry);
    return list;
  });
  const wanted = entries.filter(({ type, path }) => type === 'file' && isModelFile(path));
  const files = wanted.map(({ path, size, oid, lfs }) => {
    const hash = lfs?.oid ?? oid;
    if (!hash || !(lfs ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/).test(hash) || !Number.isSafeInteger(size) || size < 0) {
      throw malformed(`no size or hash of ${path}`);
    }
    return { path, size, hash };
  });
  return { commit: sha, files: withoutSpareWeights(files, entries, id) };
}

/** Folders of sentence-transformers' modules: `0_Transformer`, `1_Pooling`, `query_0_SparseStaticEmbedding`. */
const MODULE_FOLDER = /^([A-Za-z]+_)?\d+_\w+$/;
const SMALL_FILE =
  /^((config|modules|router_config|config_sentence_transformers|sentence_[\w-]+_config|tokenizer|tokenizer_config|added_tokens|idf)\.json|vocab\.txt)$/;
const WEIGHTS = /^model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?$/;

function isModelFile(path: string): boolean {
  const folders = path.split('/');
  const file = folders.pop()!;
  return folders.every((folder) => MODULE_FOLDER.test(folder)) && (SMALL_FILE.test(file) || WEIGHTS.test(file));
}

/** Leaves out shards beside a whole file; refuses a model without safetensors. */
function withoutSpareWeights(files: RemoteFile[], entries: ListFileEntry[], id: string): RemoteFile[] {
  const paths = new Set(files.map(({ path }) => path));
  const kept = files.filter(({ path }) => {
    const whole = path.replace(/model(-\d{5}-of-\d{5}\.safetensors|\.safetensors\.index\.json)$/, 'model.safetensors');
    return whole === path || !paths.has(whole);
  });
  if (!kept.some(({ path }) => path.endsWith('.safetensors'))) {
    const other = entries.find(({ path }) => /\.(bin|h5|msgpack)$/.test(path));
    throw new FlesError(
      'ERR_MODEL_WEIGHTS',
      `${id} has no model.safetensors${other ? ` but ${other.path}` : ''}; choose a revision that has it, or convert it in ` +
        'Python with transformers.AutoModelForMaskedLM.from_pretrained(id).save_pretrained(folder)',
    );
  }
  return kept;
}

/** Adds up what is here of all files. */
class Progress {
  readonly #received: Map<string, number>;
  #filesDone = 0;
  #last = 0;

  constructor(
    private readonly files: RemoteFile[],
    private readonly onProgress: ResolveOptions['onProgress'],
  ) {
    this.#received = new Map(files.map(({ path }) => [path, 0]));
  }

  update(file: RemoteFile, bytes: number): void {
    this.#received.set(file.path, bytes);
    if (performance.now() - this.#last >= REPORT_MS) this.#report(file);
  }

  done(file: RemoteFile): void {
    this.#received.set(file.path, file.size);
    this.#filesDone++;
    this.#report(file);
  }

  #report(file: RemoteFile): void {
    this.#last = performance.now();
    this.onProgress?.({
      file: file.path,
      received: [...this.#received.values()].reduce((sum, bytes) => sum + bytes, 0),
      total: this.files.reduce((sum, { size }) => sum + size, 0),
      filesDone: this.#filesDone,
      filesTotal: this.files.length,
    });
  }
}
