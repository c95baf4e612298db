import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { batchesOfWindows, inTurn, type MicroBatch } from '../../lib/encode/batches';
import type { TokenBatch } from '../../lib/text/tokenizer';

/** Eight texts in windows of four and batches of two; what happens, in its order, and the ends of the batches. */
function pipeline(tokenize: (begin: number, end: number) => Promise<TokenBatch> = tokensOf) {
  const events: string[] = [];
  const ends: (() => void)[] = [];
  const batches = batchesOfWindows(8, { windowSize: 4, batchSize: 2 }, (begin, end) => {
    events.push(`tokenise ${begin}..${end}`);
    return tokenize(begin, end);
  });
  const compute = ({ places }: MicroBatch) => {
    events.push(`compute ${places}`);
    return new Promise<string>((resolve) => {
      ends.push(() => resolve(`rows of ${places}`));
    });
  };
  const done = inTurn(batches, compute, (_, result) => events.push(result));
  done.catch(() => {});
  return { events, ends, done };
}

/** A text a token, the longest last. */
async function tokensOf(begin: number, end: number): Promise<TokenBatch> {
  const offsets = Int32Array.from({ length: end - begin + 1 }, (_, i) => (i * (i + 1)) / 2);
  return { tokens: new Int32Array(offsets.at(-1)!), offsets };
}

test('a second batch is handed over, and the next texts are tokenised, before the first batch has ended', async () => {
  const { events, ends, done } = pipeline();
  await setImmediate();
  expect(events).toEqual(['tokenise 0..4', 'compute 3,2', 'tokenise 4..8', 'compute 1,0']);
  ends[0]!();
  await setImmediate();
  expect(events.slice(4)).toEqual(['rows of 3,2', 'compute 7,6']);
  ends[1]!();
  await setImmediate();
  expect(events.slice(6)).toEqual(['rows of 1,0', 'compute 5,4']);
  ends[3]!();
  ends[2]!();
  await done;
  expect(events.slice(8)).toEqual(['rows of 7,6', 'rows of 5,4']);
});

test('what tokenising throws comes when the batches under way have ended', async () => {
  const { events, ends, done } = pipeline((begin, end) =>
    begin === 0 ? tokensOf(begin, end) : Promise.reject(new Error('no tokens')),
  );
  let failed = false;
  done.catch(() => {
    failed = true;
  });
  await setImmediate();
  ends[0]!();
  await setImmediate();
  expect(events.slice(4)).toEqual(['rows of 3,2']);
  expect(failed).toBe(false);
  ends[1]!();
  await expect(done).rejects.toThrow('no tokens');
});

test('no texts have no batches', async () => {
  const none = batchesOfWindows(0, { windowSize: 4, batchSize: 2 }, tokensOf);
  expect(await none.next()).toEqual({ done: true, value: undefined });
});
