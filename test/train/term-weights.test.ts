import { expect, test } from 'vitest';
import { addDocuments, dfWeights, idfWeights } from '../../lib/train/term-weights';

test('a term weighs 0 in DF-FLOPS when no document has it, 1/2 at a tenth of the documents, 1 when all have it', () => {
  const state = addDocuments({ documents: 0, counts: [] }, 1000, [0, 10, 100, 500, 1000]);
  const weights = dfWeights(state);
  expect(weights[0]).toBe(0);
  expect(weights[1]).toBeLessThan(1e-4);
  expect(weights[2]).toBeCloseTo(0.5, 6);
  expect(weights[3]).toBeGreaterThan(0.99);
  expect(weights[4]).toBe(1);
});

test('the share of documents follows those seen last', () => {
  let state = addDocuments({ documents: 0, counts: [] }, 100, [100]);
  for (let i = 0; i < 69; i++) state = addDocuments(state, 0, [0]);
  expect(state.documents).toBeCloseTo(50, 0);
  for (let i = 0; i < 1000; i++) state = addDocuments(state, 100, [10]);
  expect(dfWeights(state)[0]).toBeCloseTo(0.5, 2);
});

test('IDF counts documents, not occurrences', async () => {
  const texts = ['1 1 2', '1 3', '1'];
  const pool = {
    size: 3,
    documents: async (numbers: readonly number[]) => numbers.map((i) => ({ text: texts[i]!, key: i })),
  };
  const encodeBatch = async (batch: readonly string[]) => {
    const ids = batch.map((text) => text.split(' ').map(Number));
    return {
      tokens: Int32Array.from(ids.flat()),
      offsets: Int32Array.from([0, ...ids.map((_, i) => ids.slice(0, i + 1).flat().length)]),
    };
  };
  const weights = await idfWeights(pool, { encodeBatch }, 4, { maxLength: 9, seed: 1 });
  const idf = (n: number) => Math.fround(Math.log(1 + (3 - n + 0.5) / (n + 0.5)));
  expect([...weights]).toEqual([idf(0), idf(3), idf(1), idf(1)]);
});
