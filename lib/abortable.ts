import { show } from './check';
import { FlesError } from './errors';

/** The option `signal`. Throws `ERR_ARGUMENT_TYPE` for what is no AbortSignal. */
export function checkSignal(value: unknown): void {
  const { aborted, addEventListener } = (value ?? {}) as Partial<AbortSignal>;
  if (value !== undefined && (typeof aborted !== 'boolean' || typeof addEventListener !== 'function')) {
    throw new FlesError('ERR_ARGUMENT_TYPE', `signal is ${show(value)}, expected an AbortSignal`);
  }
}

/**
 * What a source yields, until the signal aborts: then it ends with the signal's reason, also while the source is waiting for
 * something. Closes the source when the consumer stops early.
 */
export async function* abortable<T>(
  source: Iterable<T> | AsyncIterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T> {
  signal?.throwIfAborted();
  if (signal === undefined || !(Symbol.asyncIterator in source)) {
    for await (const value of source) {
      signal?.throwIfAborted();
      yield value;
    }
    return;
  }
  const iterator = source[Symbol.asyncIterator]();
  let abort = () => {};
  const onAbort = () => abort();
  signal.addEventListener('abort', onAbort, { once: true });
  let ended = false;
  try {
    for (;;) {
      // Not Promise.race: every race would stay registered with the abortion for as long as the source lasts.
      const result = await new Promise<IteratorResult<T>>((resolve, reject) => {
        abort = () => reject(signal.reason);
        if (signal.aborted) return abort();
        Promise.resolve(iterator.next()).then(resolve, (error: unknown) => {
          ended = true;
          reject(error);
        });
      });
      if (result.done) {
        ended = true;
        return;
      }
      yield result.value;
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    // A source that is waiting for something cannot be closed before it comes, so this is not awaited.
    if (!ended) Promise.resolve(iterator.return?.()).catch(() => {});
  }
}
