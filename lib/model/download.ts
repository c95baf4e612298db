import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FlesError, fileError } from '../errors';
import { makeDirectory } from '../make-directory';
import { type HubClient, networkError } from './hub-client';

/** A file of the hub, by what its listing says. */
export interface RemoteFile {
  path: string;
  size: number;
  /** SHA-256 of the content for large files (LFS), else git's SHA-1 of the blob. It names the file in the cache. */
  hash: string;
}

/**
 * Downloads a file to `target`. It grows under `target.incomplete`, from where the last download of it ended if there is
 * one, and gets its name when size and hash are right.
 *
 * @param onReceived called with the number of bytes present, first with those of an earlier download
 * @throws FlesError `ERR_HUB_HASH` (the content is not what the hub announced; the download is thrown away),
 *   `ERR_DISK_FULL`, and those of `HubClient`
 */
export async function download(
  client: HubClient,
  url: string,
  file: RemoteFile,
  target: string,
  onReceived: (bytes: number) => void,
): Promise<void> {
  const incomplete = `${target}.incomplete`;
  try {
    await makeDirectory(dirname(target));
    // Bytes that an earlier run left may be bad; one whole download from the start decides.
    if (!(await receive(client, url, file, incomplete, onReceived))) {
      await rm(incomplete, { force: true });
      throw new FlesError(
        'ERR_HUB_HASH',
        `${url} does not have the content that the hub announced (${file.size} bytes, hash ${file.hash}); try again`,
      );
    }
    await rename(incomplete, target);
  } catch (error) {
    throw fileError(error, target);
  }
}

/** Fills the incomplete file; false when its content is wrong although all of it came in this call. */
async function receive(
  client: HubClient,
  url: string,
  file: RemoteFile,
  incomplete: string,
  onReceived: (bytes: number) => void,
): Promise<boolean> {
  const handle = await open(incomplete, 'r+').catch(() => open(incomplete, 'w+'));
  try {
    const content = new Content(handle, file);
    await content.readPresent();
    let resumed = content.bytes > 0;
    onReceived(content.bytes);
    // Bytes that come again after a start from the beginning are no progress.
    let most = content.bytes;
    for (;;) {
      await client.retry(async (progressed) => {
        if (content.bytes >= file.size) return;
        await content.append(client, url, (bytes) => {
          if (bytes > most) progressed();
          most = Math.max(most, bytes);
          onReceived(bytes);
        });
      });
      const right = content.isRight();
      if (right) await handle.sync();
      if (right || !resumed) return right;
      resumed = false;
      await content.restart();
      most = 0;
      onReceived(0);
    }
  } finally {
    await handle.close();
  }
}

/** The content of a file as far as it is there, with the hash of it. */
class Content {
  bytes = 0;
  #hash: Hash;

  constructor(
    private readonly handle: FileHandle,
    private readonly file: RemoteFile,
  ) {
    this.#hash = this.newHash();
  }

  private newHash(): Hash {
    // Git hashes a header in front of the content.
    return this.file.hash.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${this.file.size}\0`);
  }

  /** Hashes what an earlier download left. */
  async readPresent(): Promise<void> {
    const block = Buffer.alloc(2 ** 20);
    for (;;) {
      const { bytesRead } = await this.handle.read(block, 0, block.length, this.bytes);
      if (bytesRead === 0) return;
      this.#hash.update(block.subarray(0, bytesRead));
      this.bytes += bytesRead;
    }
  }

  async restart(): Promise<void> {
    await this.handle.truncate(0);
    this.bytes = 0;
    this.#hash = this.newHash();
  }

  /** Asks for the rest and writes what comes. */
  async append(client: HubClient, url: string, onReceived: (bytes: number) => void): Promise<void> {
    const response = await client.fetch(url, this.bytes > 0 ? { headers: { range: `bytes=${this.bytes}-` } } : {});
    const begin =
      response.status === 206 ? Number(/^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1]) : 0;
    // A server that knows no ranges sends the whole file again.
    if (begin !== this.bytes) await this.restart();
    if (response.status === 416 || !response.body || begin !== this.bytes) {
      throw networkError(new URL(url), new Error('an answer that is not the range asked for'));
    }
    const chunks = response.body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    for (;;) {
      const chunk = await chunks.next().catch((error: unknown) => {
        client.throwIfAborted();
        throw networkError(new URL(url), error);
      });
      if (chunk.done) break;
      await this.write(chunk.value);
      onReceived(this.bytes);
      // Longer than announced: the hash will not be right, the rest is not wanted.
      if (this.bytes > this.file.size) {
        await chunks.return?.();
        return;
      }
    }
    if (this.bytes < this.file.size) throw networkError(new URL(url), new Error('the connection ended early'));
  }

  private async write(chunk: Uint8Array): Promise<void> {
    let done = 0;
    while (done < chunk.length) {
      done += (await this.handle.write(chunk, done, chunk.length - done, this.bytes + done)).bytesWritten;
    }
    this.#hash.update(chunk);
    this.bytes += chunk.length;
  }

  isRight(): boolean {
    return this.bytes === this.file.size && this.#hash.copy().digest('hex') === this.file.hash;
  }
}
