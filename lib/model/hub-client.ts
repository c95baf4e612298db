import { setTimeout as sleep } from 'node:timers/promises';
import { FlesError, messageOf, throwIfAborted } from '../errors';

/** Waits before the second, third, ... attempt of a request that failed on the way. */
const PAUSES_MS = [500, 1000, 2000, 4000];

/** A request that another attempt may answer: a broken connection, a server that is overloaded or restarting. */
class Transient extends FlesError {}

/**
 * Sends requests to one hub. The token goes to the hub's own origin and nowhere else: not along redirects to another one
 * (fetch drops it there) and not to links that name another one.
 */
export class HubClient {
  constructor(
    readonly endpoint: string,
    private readonly token: string | undefined,
    private readonly signal: AbortSignal | undefined,
    private readonly pauses = PAUSES_MS,
  ) {
    if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
      throw new FlesError(
        'ERR_HUB_ACCESS',
        'the token for the hub holds a space, a line break or a letter that no header may have; set HF_TOKEN or the option token anew',
      );
    }
  }

  /** The address of a file of a model at a commit. */
  fileUrl(id: string, commit: string, path: string): string {
    return `${this.endpoint}/${id}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`;
  }

  throwIfAborted(): void {
    throwIfAborted(this.signal);
  }

  /**
   * As `fetch`, but an answer that is an error is thrown.
   *
   * @throws FlesError `ERR_HUB_NOT_FOUND` (404), `ERR_HUB_ACCESS` (401, 403), `ERR_HUB_NETWORK` (no answer),
   *   `ERR_HUB_BUSY` (429, 5xx), `ERR_HUB_RESPONSE` (any other error); the signal's reason
   */
  readonly fetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init.headers);
    headers.set('user-agent', 'fles');
    if (this.token && url.origin === new URL(this.endpoint).origin)
      headers.set('authorization', `Bearer ${this.token}`);
    let response: Response;
    try {
      response = await fetch(url, { ...init, headers, signal: this.signal ?? null });
    } catch (error) {
      throwIfAborted(this.signal);
      throw networkError(url, error);
    }
    // A range beyond the end of the file is for the caller to resolve.
    if (!response.ok && response.status !== 416) throw await this.answerError(url, response);
    return response;
  };

  /** Runs `attempt` again, after a pause, as long as it fails on the way; `progressed` starts the count anew. */
  async retry<T>(attempt: (progressed: () => void) => Promise<T>): Promise<T> {
    let failures = 0;
    for (;;) {
      try {
        return await attempt(() => {
          failures = 0;
        });
      } catch (error) {
        throwIfAborted(this.signal);
        if (!(error instanceof Transient) || failures >= this.pauses.length) throw error;
        await sleep(this.pauses[failures++], undefined, { signal: this.signal }).catch(() => this.throwIfAborted());
      }
    }
  }

  private async answerError(url: URL, response: Response): Promise<FlesError> {
    const { status } = response;
    const code = response.headers.get('x-error-code');
    const text = await response.text().catch(() => '');
    const said = response.headers.get('x-error-message') ?? errorOf(text) ?? response.statusText;
    const where = `${url.origin}${url.pathname}`;
    if (status === 404) {
      return new FlesError(
        'ERR_HUB_NOT_FOUND',
        `${where} was not found (${code ?? said}); check the name of the model and the revision`,
      );
    }
    if (status === 401 || status === 403) {
      const next =
        code === 'GatedRepo'
          ? "ask for access on the model's page, then set HF_TOKEN or the option token"
          : this.token
            ? 'the token may not read it; check its permissions'
            : 'it does not exist, or is private: check the name, or set HF_TOKEN or the option token';
      return new FlesError('ERR_HUB_ACCESS', `${where} was refused with ${status} (${code ?? said}); ${next}`);
    }
    const message = `${where} was answered with ${status} (${said}); try again later`;
    if (status === 429 || status >= 500) return new Transient('ERR_HUB_BUSY', message);
    return new FlesError('ERR_HUB_RESPONSE', message);
  }
}

/** A failure below HTTP. A hub that cannot be reached at all is not tried again. */
export function networkError(url: URL, error: unknown): FlesError {
  const cause = (error as { cause?: { code?: string } }).cause;
  const reason = cause?.code ?? messageOf(cause ?? error);
  const message = `${url.origin} cannot be reached (${reason}); check the connection, or set HF_HUB_OFFLINE=1 to use the cache alone`;
  return reason === 'ECONNREFUSED' || reason === 'ENOTFOUND'
    ? new FlesError('ERR_HUB_NETWORK', message, { cause: error })
    : new Transient('ERR_HUB_NETWORK', message, { cause: error });
}

function errorOf(text: string): string | undefined {
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    return typeof error === 'string' ? error.slice(0, 200) : undefined;
  } catch {
    return undefined;
  }
}
