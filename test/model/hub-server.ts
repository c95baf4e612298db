import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request that one of the two servers got. */
export interface Seen {
  server: 'hub' | 'cdn';
  path: string;
  authorization?: string;
  range?: string;
}

/**
 * A hub of one model that speaks the protocol of huggingface.co: commit and tree of a revision, and files, of which those in
 * `large` are redirected to a second server of another origin, as LFS files are.
 */
export class FakeHub {
  files = new Map<string, Buffer>();
  large = new Set<string>();
  commit = 'a'.repeat(40);
  /** Requests without this token are refused. */
  token?: string;
  gated = false;
  ignoreRanges = false;
  /** Answers every request with this status. */
  status?: number;
  /** Bytes of a file after which its next transfers break off, one entry a transfer. */
  breaks = new Map<string, number[]>();
  /** Files whose content has its last byte changed on the way. */
  corrupt = new Set<string>();
  /** Called before a file is sent. */
  onFile?: (path: string) => void;
  /** Changes the listing before it is sent. */
  tamper?: (entries: Record<string, unknown>[]) => void;
  readonly seen: Seen[] = [];
  #servers: Server[] = [];
  endpoint = '';
  #cdn = '';

  constructor(readonly id = 'acme/tiny') {}

  async start(): Promise<this> {
    [this.endpoint, this.#cdn] = (await Promise.all([
      this.#listen((request, response) => this.#hub(request, response)),
      this.#listen((request, response) => this.#content('cdn', request, response)),
    ])) as [string, string];
    return this;
  }

  async stop(): Promise<void> {
    for (const server of this.#servers) {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    }
    this.#servers = [];
  }

  /** Paths of the files that were asked for. */
  get fetched(): string[] {
    return this.seen
      .filter(({ server, path }) => server === 'cdn' || path.includes('/resolve/'))
      .map(({ path }) => path);
  }

  hash(path: string): string {
    const content = this.files.get(path)!;
    if (this.large.has(path)) return createHash('sha256').update(content).digest('hex');
    return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
  }

  async #listen(handle: (request: IncomingMessage, response: ServerResponse) => unknown): Promise<string> {
    const server = createServer(handle);
    this.#servers.push(server);
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  #hub(request: IncomingMessage, response: ServerResponse): ServerResponse | undefined {
    const url = new URL(request.url!, this.endpoint);
    const path = decodeURIComponent(url.pathname);
    const { authorization } = request.headers;
    if (path.startsWith(`/${this.id}/resolve/`)) return this.#resolve(path, request, response);
    this.seen.push({ server: 'hub', path, authorization });
    if (this.#refuses(request, response)) return undefined;
    const [, name, kind, revision] = /^\/api\/models\/([^/]+\/[^/]+)\/(revision|tree)\/(.+)$/.exec(path) ?? [];
    if (name !== this.id) return error(response, 404, 'RepoNotFound');
    if (revision !== 'main' && revision !== 'refs/pr/1' && revision !== this.commit)
      return error(response, 404, 'RevisionNotFound');
    if (kind === 'revision') return json(response, { _id: '1', id: this.id, sha: this.commit, private: false });
    const entries: Record<string, unknown>[] = [...this.files].map(([file, content]) => ({
      type: 'file',
      path: file,
      size: content.length,
      // The oid of a large file is that of its pointer.
      oid: this.large.has(file) ? 'f'.repeat(40) : this.hash(file),
      ...(this.large.has(file) && { lfs: { oid: this.hash(file), size: content.length, pointerSize: 130 } }),
    }));
    this.tamper?.(entries);
    return json(response, entries);
  }

  #refuses(request: IncomingMessage, response: ServerResponse): boolean {
    if (this.status !== undefined) error(response, this.status, 'Unavailable');
    else if (this.gated) error(response, 403, 'GatedRepo');
    else if (this.token && request.headers.authorization !== `Bearer ${this.token}`)
      error(response, 401, 'RepoNotFound');
    else return false;
    return true;
  }

  #resolve(path: string, request: IncomingMessage, response: ServerResponse): ServerResponse | undefined {
    const file = path.replace(`/${this.id}/resolve/${this.commit}/`, '');
    if (!this.large.has(file)) return this.#content('hub', request, response, file);
    this.seen.push({ server: 'hub', path, authorization: request.headers.authorization, range: request.headers.range });
    if (this.#refuses(request, response)) return undefined;
    response.writeHead(302, {
      location: `${this.#cdn}/${file}?signature=x`,
      'x-repo-commit': this.commit,
      'x-linked-etag': `"${this.hash(file)}"`,
      'x-linked-size': this.files.get(file)!.length,
    });
    return response.end();
  }

  #content(
    server: Seen['server'],
    request: IncomingMessage,
    response: ServerResponse,
    name?: string,
  ): ServerResponse | undefined {
    const path = decodeURIComponent(new URL(request.url!, this.endpoint).pathname);
    const { authorization, range } = request.headers;
    this.seen.push({ server, path, authorization, range });
    if (server === 'hub' && this.#refuses(request, response)) return undefined;
    const file = name ?? path.slice(1);
    const original = this.files.get(file);
    if (!original) return error(response, 404, 'EntryNotFound');
    this.onFile?.(file);
    const content = Buffer.from(original);
    if (this.corrupt.has(file)) content[content.length - 1]! ^= 1;
    const begin = this.ignoreRanges ? 0 : Number(/^bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0);
    if (begin >= content.length && begin > 0) return error(response, 416, 'RangeNotSatisfiable');
    const body = content.subarray(begin);
    response.writeHead(begin > 0 ? 206 : 200, {
      etag: `"${this.hash(file)}"`,
      'accept-ranges': 'bytes',
      'content-length': body.length,
      'x-repo-commit': this.commit,
      ...(begin > 0 && { 'content-range': `bytes ${begin}-${content.length - 1}/${content.length}` }),
    });
    const broken = this.breaks.get(file)?.shift();
    if (broken === undefined) return response.end(body);
    response.write(body.subarray(0, broken), () => setTimeout(() => response.destroy(), 20));
    return undefined;
  }
}

function json(response: ServerResponse, value: unknown): ServerResponse {
  response.writeHead(200, { 'content-type': 'application/json' });
  return response.end(JSON.stringify(value));
}

function error(response: ServerResponse, status: number, code: string): ServerResponse {
  response.writeHead(status, { 'content-type': 'application/json', 'x-error-code': code });
  return response.end(JSON.stringify({ error: `${code} at the fake hub` }));
}
