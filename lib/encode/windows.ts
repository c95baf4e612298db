import { checkIterable, checkString } from '../check';

/**
 * Groups the texts that an iterable yields into windows of at most `size`. While the consumer is busy the next window fills in the
 * background; when it is free, a window goes out as soon as nothing more is at hand at once, so that a slow source is
 * served text by text and a fast one in full windows. Ends with the signal's reason when it aborts, and closes the source
 * when the consumer stops early. Throws `ERR_ARGUMENT_TYPE` for what is no text, with its number among all.
 */
export async function* windows(
  source: AsyncIterable<string> | Iterable<string>,
  size: number,
  signal?: AbortSignal,
): AsyncGenerator<string[]> {
  checkIterable('texts', source, 'strings');
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  let abort = () => {};
  const onAbort = () => abort();
  signal?.addEventListener('abort', onAbort, { once: true });
  let pending: Promise<IteratorResult<string>> | undefined;
  let ended = false;
  let taken = 0;

  /** What comes next; undefined when `orNothing` and nothing is at hand. */
  const next = (orNothing: boolean) =>
    // Not Promise.race: every race would stay registered with the abortion for as long as the stream lasts.
    new Promise<IteratorResult<string> | undefined>((resolve, reject) => {
      abort = () => reject(signal!.reason);
      if (signal?.aborted) abort();
      pending ??= Promise.resolve(iterator.next());
      pending.then(resolve, reject);
      if (orNothing) setImmediate(resolve, undefined);
    });

  try {
    while (!ended) {
      const window: string[] = [];
      while (window.length < size) {
        const result = await next(window.length > 0);
        if (result === undefined) break;
        pending = undefined;
        if (result.done) {
          ended = true;
          break;
        }
        window.push(checkString(`texts[${taken++}]`, result.value));
      }
      if (window.length > 0) yield window;
    }
  } finally {
    signal?.removeEventListener('abort', onAbort);
    // A source that is waiting for something cannot be closed before it comes, so this is not awaited.
    if (!ended) Promise.resolve(iterator.return?.()).catch(() => {});
  }
}
