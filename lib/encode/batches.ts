import type { TokenBatch } from '../text/tokenizer';

/** Tokens computed together at most, unless one text alone has more: bounds the memory of the activations. */
const TOKENS_A_BATCH = 8192;
/** Texts computed together at most, whatever the caller asks: bounds the memory of pooled rows, a vocabulary each. */
const TEXTS_A_BATCH = 64;

/** Some of the texts of a call, in the order they are computed. */
export interface MicroBatch extends TokenBatch {
  /** Place of each text in the call. */
  places: number[];
}

/**
 * Cuts texts into batches of like lengths, longest first, so that the largest memory is needed at once and the last batches
 * are short. There is no padding, so this serves balance alone; vectors do not depend on it.
 */
export function* microBatches(batch: TokenBatch, batchSize: number): Generator<MicroBatch> {
  const { tokens, offsets } = batch;
  const length = (i: number) => offsets[i + 1]! - offsets[i]!;
  const order = Array.from({ length: offsets.length - 1 }, (_, i) => i).sort((a, b) => length(b) - length(a) || a - b);
  const most = Math.min(batchSize, TEXTS_A_BATCH);
  for (let begin = 0; begin < order.length; ) {
    let end = begin;
    let total = 0;
    while (end < order.length && end - begin < most) {
      const next = length(order[end]!);
      if (end > begin && total + next > TOKENS_A_BATCH) break;
      total += next;
      end++;
    }
    const places = order.slice(begin, end);
    const part: MicroBatch = { places, tokens: new Int32Array(total), offsets: new Int32Array(places.length + 1) };
    for (const [row, place] of places.entries()) {
      const at = part.offsets[row]!;
      part.tokens.set(tokens.subarray(offsets[place]!, offsets[place + 1]!), at);
      part.offsets[row + 1] = at + length(place);
    }
    yield part;
    begin = end;
  }
}

/**
 * The micro-batches of `count` texts, window by window of at most `windowSize`. The next window is tokenised once the first
 * batch of this one has been taken: while that one is computed.
 *
 * @param tokenize gives the tokens of texts [begin, end)
 */
export async function* batchesOfWindows(
  count: number,
  { windowSize, batchSize }: { windowSize: number; batchSize: number },
  tokenize: (begin: number, end: number) => Promise<TokenBatch>,
): AsyncGenerator<MicroBatch> {
  const start = (begin: number) => {
    const tokens = tokenize(begin, Math.min(count, begin + windowSize));
    tokens.catch(() => {}); // reported where it is awaited
    return tokens;
  };
  let tokens: Promise<TokenBatch> | undefined;
  for (let begin = 0; begin < count; begin += windowSize) {
    const batches = microBatches(await (tokens ?? start(begin)), batchSize);
    tokens = undefined;
    for (const batch of batches) {
      yield { ...batch, places: batch.places.map((place) => begin + place) };
      if (begin + windowSize < count) tokens ??= start(begin + windowSize);
    }
  }
}

/**
 * Runs `compute` over the batches with one more always waiting behind the one that runs, so that the native core never
 * idles while results are collected. Results come in the order of the batches.
 */
export async function inTurn<T>(
  batches: Iterable<MicroBatch> | AsyncIterable<MicroBatch>,
  compute: (batch: MicroBatch) => Promise<T>,
  collect: (batch: MicroBatch, result: T) => void,
): Promise<void> {
  const waiting: { batch: MicroBatch; result: Promise<T> }[] = [];
  const settleFirst = async () => {
    const { batch, result } = waiting.shift()!;
    collect(batch, await result);
  };
  try {
    for await (const batch of batches) {
      const result = compute(batch);
      result.catch(() => {}); // reported where it is awaited
      waiting.push({ batch, result });
      if (waiting.length > 1) await settleFirst();
    }
    while (waiting.length > 0) await settleFirst();
  } finally {
    await Promise.allSettled(waiting.map(({ result }) => result));
  }
}
