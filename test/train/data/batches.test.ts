import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  type Batch,
  type BatchOptions,
  type BatchTokenizer,
  openPairs,
  type PairSource,
  streamBatches,
} from '../../../lib/train/data';
import { temporaryFolder } from '../../cli/temporary';
import { rejected, thrown } from '../../eval/thrown';

/** A token a character, cut at the length asked for. */
const characters: BatchTokenizer = {
  async encodeBatch(texts, { maxLength = Infinity } = {}) {
    const rows = texts.map((text) => Array.from(text, (c) => c.charCodeAt(0)).slice(0, maxLength));
    const offsets = Int32Array.from([0, ...rows.map((_, i) => rows.slice(0, i + 1).flat().length)]);
    return { tokens: Int32Array.from(rows.flat()), offsets };
  },
};

const OPTIONS: BatchOptions = { queries: 4, negatives: 2, seed: 7, queryLength: 100, documentLength: 100 };

interface Line {
  query: string;
  positive: string;
  negatives?: string[];
  scores?: number[];
}

async function sourceOf(lines: readonly Line[]): Promise<PairSource> {
  const path = join(await temporaryFolder(), 'pairs.jsonl');
  await writeFile(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return openPairs(path);
}

/** So many pairs, no two texts alike. */
const plain = (count: number) => Array.from({ length: count }, (_, i) => ({ query: `q${i}`, positive: `p${i}` }));

async function take(stream: { next(): Promise<Batch> }, count: number): Promise<Batch[]> {
  const batches: Batch[] = [];
  while (batches.length < count) batches.push(await stream.next());
  return batches;
}

const batchesOf = (source: PairSource, options: Partial<BatchOptions>, count: number) =>
  take(streamBatches(source, characters, { ...OPTIONS, ...options }), count);

const examplesOf = (batches: readonly Batch[]) => batches.flatMap(({ texts }) => texts.examples);

/** The documents of each query, the positive first. */
const groups = ({ texts: { queries, documents } }: Batch) => {
  const width = documents.length / queries.length;
  return queries.map((query, i) => ({ query, documents: documents.slice(i * width, (i + 1) * width) }));
};

describe('an epoch', () => {
  test('has each example once, in an order of its own', async () => {
    const source = await sourceOf(plain(40));
    const batches = await batchesOf(source, {}, 30);
    const epochs = [0, 1, 2].map((epoch) => examplesOf(batches.filter((batch) => batch.epoch === epoch)));
    const all = Array.from({ length: 40 }, (_, i) => i);
    for (const epoch of epochs) expect(epoch.toSorted((a, b) => a - b)).toEqual(all);
    expect(new Set([all, ...epochs].map(String)).size).toBe(4);
    expect(batches.map(({ step }) => step)).toEqual([0, 1, 2].flatMap(() => [...Array(10).keys()]));
    await source.close();
  });

  test('is in the order of the data when it is not shuffled', async () => {
    const source = await sourceOf(plain(8));
    expect(examplesOf(await batchesOf(source, { shuffle: false }, 3))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3]);
    expect(examplesOf(await batchesOf(source, { shuffle: false, examples: 5 }, 2))).toEqual([0, 1, 2, 3, 0, 1, 2, 3]);
    await source.close();
  });

  test('leaves out examples too few for a step, others each time, or fills the step up with its first ones', async () => {
    const source = await sourceOf(plain(11));
    const stream = streamBatches(source, characters, OPTIONS);
    expect(stream.stepsPerEpoch).toBe(2);
    const left = new Set<number>();
    for (let epoch = 0; epoch < 4; epoch++) {
      const examples = new Set(examplesOf(await take(stream, 2)));
      expect(examples.size).toBe(8);
      for (let i = 0; i < 11; i++) if (!examples.has(i)) left.add(i);
    }
    expect(left.size).toBeGreaterThan(3);
    const wrapped = streamBatches(source, characters, { ...OPTIONS, lastStep: 'wrap' });
    expect(wrapped.stepsPerEpoch).toBe(3);
    const epoch = examplesOf(await take(wrapped, 3));
    expect(new Set(epoch).size).toBe(11);
    expect(epoch.at(-1)).toBe(epoch[0]);
    expect((await wrapped.next()).epoch).toBe(1);
    await source.close();
  });

  test('of fewer examples than the data has the same ones each time, which the seed chooses', async () => {
    const source = await sourceOf(plain(100));
    const subset = async (seed: number) => {
      const examples = examplesOf(await batchesOf(source, { examples: 12, seed }, 6));
      const [first, second] = [examples.slice(0, 12), examples.slice(12)];
      expect(first).not.toEqual(second);
      expect(new Set(first).size).toBe(12);
      expect(new Set(second)).toEqual(new Set(first));
      return first.toSorted((a, b) => a - b);
    };
    expect(await subset(1)).not.toEqual(await subset(2));
    await source.close();
  });
});

describe('a step', () => {
  test('has the positive of each query and negatives, with their tokens cut to the lengths asked for', async () => {
    const source = await sourceOf(plain(40));
    const [batch] = await batchesOf(source, { queryLength: 2, documentLength: 3 }, 1);
    for (const { query, documents } of groups(batch!)) {
      expect(documents[0]).toBe(query.replace('q', 'p'));
      expect(new Set(documents).size).toBe(3);
    }
    expect(Array.from(batch!.positives)).toEqual([0, 3, 6, 9]);
    expect(Array.from(batch!.owners)).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]);
    const { queries, documents } = batch!.texts;
    expect(batch!.queries).toEqual(await characters.encodeBatch(queries, { maxLength: 2 }));
    expect(batch!.documents).toEqual(await characters.encodeBatch(documents, { maxLength: 3 }));
    await source.close();
  });

  test('without negatives has the positives alone', async () => {
    const source = await sourceOf(plain(4));
    const [batch] = await batchesOf(source, { negatives: 0 }, 1);
    expect(batch!.texts.documents).toEqual(batch!.texts.queries.map((query) => query.replace('q', 'p')));
    await source.close();
  });

  test('names the first document with the same text as its duplicate', async () => {
    const source = await sourceOf([
      { query: 'a', positive: 'same', negatives: ['x', 'y'] },
      { query: 'b', positive: 'same', negatives: ['z', 'x'] },
    ]);
    const [batch] = await batchesOf(source, { queries: 2, shuffle: false }, 1);
    expect(batch!.texts.documents).toEqual(['same', 'x', 'y', 'same', 'z', 'x']);
    expect(Array.from(batch!.duplicates)).toEqual([0, 1, 2, 0, 4, 1]);
    await source.close();
  });

  test('excludes documents of others that answer a query too, its positive and copies of it aside', async () => {
    const source = await sourceOf([
      { query: 'a', positive: 'one', negatives: ['n'] },
      { query: 'a', positive: 'two', negatives: ['n'] },
      { query: 'b', positive: 'one', negatives: ['two'] },
    ]);
    const [batch] = await batchesOf(source, { queries: 3, negatives: 1, shuffle: false }, 1);
    expect(batch!.texts.documents).toEqual(['one', 'n', 'two', 'n', 'one', 'two']);
    const pairs = Array.from({ length: batch!.excluded.length / 2 }, (_, i) =>
      Array.from(batch!.excluded.subarray(2 * i, 2 * i + 2)),
    );
    expect(pairs).toEqual([
      [0, 2],
      [0, 5],
      [1, 0],
      [1, 4],
    ]);
    await source.close();
  });

  test("has a teacher's score at each pair that the data scores, and NaN elsewhere", async () => {
    const source = await sourceOf([
      { query: 'a', positive: 'p', negatives: ['n', 'm'], scores: [3, 2, 1] },
      { query: 'b', positive: 'r', negatives: ['o', 'l'] },
    ]);
    const [batch] = await batchesOf(source, { queries: 2, shuffle: false }, 1);
    const { NaN: none } = Number;
    expect(Array.from(batch!.teacherScores!)).toEqual([3, 2, 1, none, none, none, none, none, none, none, none, none]);
    await source.close();
    const unscored = await sourceOf(plain(4));
    expect((await batchesOf(unscored, {}, 1))[0]).not.toHaveProperty('teacherScores');
    await unscored.close();
  });
});

describe('negatives', () => {
  const given = (count: number) =>
    plain(40).map((pair, i) => ({ ...pair, negatives: Array.from({ length: count }, (_, n) => `n${i}.${n}`) }));

  test('are those that the data gives, in its order, when it gives as many as are asked for', async () => {
    const source = await sourceOf(given(2));
    for (const batch of await batchesOf(source, {}, 10)) {
      for (const { query, documents } of groups(batch)) {
        const number = query.slice(1);
        expect(documents).toEqual([`p${number}`, `n${number}.0`, `n${number}.1`]);
      }
    }
    await source.close();
  });

  test('are drawn anew each epoch, without repetition, when it gives more', async () => {
    const source = await sourceOf(given(5).slice(0, 4));
    const draws = new Set<string>();
    const counts = new Map<string, number>();
    for (const batch of await batchesOf(source, {}, 200)) {
      const { documents } = groups(batch).find(({ query }) => query === 'q0')!;
      expect(new Set(documents).size).toBe(3);
      draws.add(documents.join());
      for (const negative of documents.slice(1)) counts.set(negative, (counts.get(negative) ?? 0) + 1);
    }
    expect(draws.size).toBeGreaterThan(15); // of 20 ordered draws
    // Each of five is drawn with 2/5 of 200 = 80, standard deviation 7; five of them are below 115.
    expect(counts.size).toBe(5);
    for (const count of counts.values()) expect(Math.abs(count - 80)).toBeLessThan(35);
    await source.close();
  });

  test('are random where the data gives too few, or as many of them as are not to be given', async () => {
    const source = await sourceOf(given(1));
    for (const givenNegatives of [undefined, 0]) {
      for (const batch of await batchesOf(source, { givenNegatives }, 5)) {
        for (const { query, documents } of groups(batch)) {
          const own = documents.filter((text) => text.startsWith('n'));
          expect(own).toEqual(givenNegatives === 0 ? [] : [`n${query.slice(1)}.0`]);
          expect(documents.filter((text) => text.startsWith('p')).length).toBe(3 - own.length);
        }
      }
    }
    await source.close();
  });

  test('come evenly from the whole pool', async () => {
    const source = await sourceOf(plain(40));
    const counts = new Map<string, number>();
    for (const batch of await batchesOf(source, {}, 1000)) {
      for (const { documents } of groups(batch)) {
        for (const text of documents.slice(1)) counts.set(text, (counts.get(text) ?? 0) + 1);
      }
    }
    // 8,000 draws over 40; chi-square with 39 degrees of freedom is below 83 with a chance of 1 - 5e-5.
    const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - 200) ** 2 / 200, 0);
    expect(counts.size).toBe(40);
    expect(chiSquare).toBeLessThan(83);
    await source.close();
  });

  test('are never a positive of the query, whether drawn or given', async () => {
    const positives = Array.from({ length: 12 }, (_, i) => `p${i}`);
    // Every query has 9 of the 12 as its positives, so that three quarters of all draws are in vain.
    const lines = ['a', 'b', 'c', 'd'].flatMap((query, q) =>
      positives
        .filter((_, i) => i % 4 !== q)
        .map((positive) => ({ query, positive, negatives: ['p0', 'p1', 'p2', 'p3'] })),
    );
    const source = await sourceOf(lines);
    const answers = new Set(lines.map(({ query, positive }) => `${query} ${positive}`));
    for (const batch of await batchesOf(source, { negatives: 3 }, 50)) {
      for (const { query, documents } of groups(batch)) {
        expect(answers).toContain(`${query} ${documents[0]}`);
        for (const negative of documents.slice(1)) expect(answers).not.toContain(`${query} ${negative}`);
      }
    }
    await source.close();
  });

  test('that are all there is are found in a pool of thousands', async () => {
    const lines: Line[] = Array.from({ length: 3000 }, (_, i) => ({ query: 'same', positive: `p${i}` }));
    const source = await sourceOf([...lines, { query: 'other', positive: 'the one' }]);
    const [batch] = await batchesOf(source, { queries: 1, negatives: 1, shuffle: false }, 1);
    expect(batch!.texts.documents).toEqual(['p0', 'the one']);
    await source.close();
  });

  test('that are not there are an exhausted pool', async () => {
    const source = await sourceOf([...plain(3), { query: 'q3', positive: 'p0' }]);
    const error = await rejected(batchesOf(source, { negatives: 3 }, 1));
    expect(error.code).toBe('ERR_DATA_EXHAUSTED');
    expect(error.message).toMatch(/has 2 different negatives for the query "q\d" among 4 documents, expected 3/);
    await source.close();
  });
});

describe('a run that goes on', () => {
  test.each([1, 9, 10, 11, 25])('after %i steps has the steps of one that did not stop', async (done) => {
    const source = await sourceOf(plain(41).map((pair, i) => ({ ...pair, negatives: [`n${i}`, `m${i}`, `o${i}`] })));
    const whole = await batchesOf(source, { givenNegatives: 1 }, 40);
    const state = JSON.parse(JSON.stringify(whole[done - 1]!.next));
    const stream = streamBatches(source, characters, { ...OPTIONS, givenNegatives: 1 }, { state });
    expect(await take(stream, 40 - done)).toEqual(whole.slice(done));
    await stream.close();
    await source.close();
  });

  test('has the same steps from the same data opened again', async () => {
    const [a, b] = await Promise.all([sourceOf(plain(40)), sourceOf(plain(40))]);
    expect(await batchesOf(a, {}, 12)).toEqual(await batchesOf(b, {}, 12));
    await Promise.all([a.close(), b.close()]);
  });

  test('with another seed has other steps', async () => {
    const source = await sourceOf(plain(40));
    const [a, b] = [await batchesOf(source, { seed: 1 }, 1), await batchesOf(source, { seed: 2 }, 1)];
    expect(a[0]!.texts).not.toEqual(b[0]!.texts);
    await source.close();
  });

  test('with other data or options is refused', async () => {
    const source = await sourceOf(plain(40));
    const state = streamBatches(source, characters, OPTIONS)
      .next()
      .then(({ next }) => next);
    const other = await sourceOf([...plain(39), { query: 'q39', positive: 'changed' }]);
    const again = (data: PairSource, options: Partial<BatchOptions>, { epoch = 0 } = {}) =>
      state.then((before) =>
        streamBatches(data, characters, { ...OPTIONS, ...options }, { state: { ...before, epoch } }),
      );
    for (const options of [{ seed: 8 }, { queries: 5 }, { givenNegatives: 1 }, { documentLength: 99 }]) {
      expect((await rejected(again(source, options))).code).toBe('ERR_RESUME_MISMATCH');
    }
    expect((await rejected(again(other, {}))).code).toBe('ERR_RESUME_MISMATCH');
    expect((await rejected(again(source, {}, { epoch: -1 }))).code).toBe('ERR_OPTION_RANGE');
    // Saying what holds anyway changes nothing.
    await expect(again(source, { givenNegatives: 2, examples: 40, shuffle: true })).resolves.toBeDefined();
    await Promise.all([source.close(), other.close()]);
  });
});

test('the step behind the one that was asked for is prepared, and no further one', async () => {
  const source = await sourceOf(plain(40));
  let calls = 0;
  const counting: BatchTokenizer = {
    encodeBatch: (texts, options) => {
      calls++;
      return characters.encodeBatch(texts, options);
    },
  };
  const stream = streamBatches(source, counting, OPTIONS);
  expect(calls).toBe(0);
  await stream.next();
  await stream.close();
  expect(calls).toBe(4); // queries and documents of two steps
  await source.close();
});

test('steps asked for at once come in order', async () => {
  const source = await sourceOf(plain(40));
  const stream = streamBatches(source, characters, OPTIONS);
  const batches = await Promise.all([stream.next(), stream.next(), stream.next()]);
  expect(batches).toEqual(await batchesOf(source, {}, 3));
  await stream.close();
  await source.close();
});

test('what goes wrong with a step shows when that step is asked for', async () => {
  const source = await sourceOf(plain(40));
  let calls = 0;
  const failing: BatchTokenizer = {
    encodeBatch: (texts, options) =>
      ++calls > 2 ? Promise.reject(new Error('worn out')) : characters.encodeBatch(texts, options),
  };
  const stream = streamBatches(source, failing, OPTIONS);
  expect((await stream.next()).step).toBe(0);
  await expect(stream.next()).rejects.toThrow('worn out');
  await source.close();
});

test('an aborted signal ends a run with its reason', async () => {
  const source = await sourceOf(plain(40));
  const control = new AbortController();
  const stream = streamBatches(source, characters, OPTIONS, { signal: control.signal });
  await stream.next();
  const reason = new Error('enough');
  control.abort(reason);
  await expect(stream.next()).rejects.toBe(reason);
  await stream.close();
  await source.close();
});

describe('options', () => {
  test('of an epoch or a step larger than the data are exhausted data', async () => {
    const source = await sourceOf(plain(3));
    const few = thrown(() => streamBatches(source, characters, { ...OPTIONS, queries: 2, examples: 4 }));
    expect(few.code).toBe('ERR_DATA_EXHAUSTED');
    expect(few.message).toMatch(/pairs\.jsonl has 3 examples, expected 4 for an epoch/);
    const step = thrown(() => streamBatches(source, characters, OPTIONS));
    expect(step.code).toBe('ERR_DATA_EXHAUSTED');
    expect(step.message).toMatch(/has 3 examples, expected 4 or more, the queries of one step/);
    await source.close();
  });

  test.each<[object, string, RegExp]>([
    [{ queries: 0 }, 'ERR_OPTION_RANGE', /^queries is 0/],
    [{ negatives: -1 }, 'ERR_OPTION_RANGE', /^negatives is -1/],
    [{ givenNegatives: 3 }, 'ERR_OPTION_RANGE', /^givenNegatives is 3, expected an integer in 0..2/],
    [{ seed: 0.5 }, 'ERR_OPTION_RANGE', /^seed is 0.5/],
    [{ examples: 0 }, 'ERR_OPTION_RANGE', /^examples is 0/],
    [{ shuffle: 'no' }, 'ERR_OPTION_VALUE', /^shuffle is "no"/],
    [{ lastStep: 'keep' }, 'ERR_OPTION_VALUE', /^lastStep is "keep", expected drop \| wrap/],
    [{ queryLength: 1 }, 'ERR_OPTION_RANGE', /^queryLength is 1/],
    [{ documentLength: undefined }, 'ERR_OPTION_RANGE', /^documentLength is undefined/],
    [{ negative: 2 }, 'ERR_OPTION_UNKNOWN', /did you mean "negatives"/],
  ])('%o are refused', async (options, code, message) => {
    const source = await sourceOf(plain(40));
    const error = thrown(() => streamBatches(source, characters, { ...OPTIONS, ...options }));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    await source.close();
  });
});

test('no document that is the query itself is its negative, given or drawn', async () => {
  const source = await sourceOf([
    { query: 'q0', positive: 'p0', negatives: ['q0', 'n0'] },
    { query: 'q1', positive: 'q0' },
    { query: 'q2', positive: 'p2' },
    { query: 'q3', positive: 'p3' },
  ]);
  const batches = await batchesOf(source, { queries: 4, negatives: 2, shuffle: false }, 20);
  const own = batches.map(({ texts }) => texts.documents.slice(0, 3));
  expect(own.flat()).not.toContain('q0');
  for (const documents of own) expect(documents).toContain('n0');
  await source.close();
});

test('a document of the step that is the query itself does not compete for it', async () => {
  const source = await sourceOf([
    { query: 'a', positive: 'b' },
    { query: 'b', positive: 'a' },
    { query: 'c', positive: 'c' },
  ]);
  const [batch] = await batchesOf(source, { queries: 3, negatives: 0, shuffle: false }, 1);
  expect(Array.from(batch!.excluded)).toEqual([0, 1, 1, 0]);
  await source.close();
});
