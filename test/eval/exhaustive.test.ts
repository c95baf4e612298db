import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { searchDense } from '../../lib/eval/exhaustive';
import { topK } from '../../lib/eval/top-k';
import { dense } from './matrices';
import { rejected } from './thrown';

const vector = fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 2, maxLength: 2 });

describe('searchDense', () => {
  test('hits are those of sorting all products, ties by lower document number', async () => {
    const rows = fc.array(vector, { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(rows, rows, fc.integer({ min: 1, max: 15 }), async (documents, queries, k) => {
        const ids = documents.map((_, i) => `d${i}`);
        const found = await searchDense(dense(documents), ids, dense(queries), { k });
        const expected = queries.map((q) =>
          documents
            .map((d, document) => ({ id: ids[document]!, document, score: d[0]! * q[0]! + d[1]! * q[1]! + 0 }))
            .sort((a, b) => b.score - a.score)
            .slice(0, k),
        );
        expect(found.map((hits) => hits.map((hit) => ({ ...hit, score: hit.score + 0 })))).toEqual(expected);
      }),
    );
  });

  test('a score is the float32 of a float64 sum', async () => {
    const [hits] = await searchDense(dense([[1, 2 ** -24, 2 ** -24]]), ['d'], dense([[1, 1, 1]]), { k: 1 });
    expect(hits![0]!.score).toBe(Math.fround(1 + 2 ** -23));
  });

  test('a document of negative score is a hit like any other', async () => {
    expect(await searchDense(dense([[-1]]), ['d'], dense([[1]]), { k: 5 })).toEqual([
      [{ id: 'd', document: 0, score: -1 }],
    ]);
  });

  test('no documents give no hits', async () => {
    expect(await searchDense(dense([], 2), [], dense([[1, 1]]), { k: 5 })).toEqual([[]]);
  });

  test.each([
    ['rows of another length', dense([[1, 2]]), ['d'], dense([[1]]), 'ERR_DENSE_SHAPE'],
    [
      'values that are not rows times columns',
      { rows: 2, columns: 2, values: new Float32Array(3) },
      ['a', 'b'],
      dense([[1, 1]]),
      'ERR_DENSE_SHAPE',
    ],
    ['an id too few', dense([[1], [2]]), ['a'], dense([[1]]), 'ERR_DENSE_SHAPE'],
    ['NaN', dense([[NaN]]), ['a'], dense([[1]]), 'ERR_DENSE_VALUE'],
    ['a product beyond float32', dense([[1e30]]), ['a'], dense([[1e30]]), 'ERR_DENSE_VALUE'],
  ])('%s: refused', async (_, documents, ids, queries, code) => {
    expect((await rejected(searchDense(documents, ids, queries, { k: 1 }))).code).toBe(code);
  });

  test('an aborted signal ends the search', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(searchDense(dense([[1]]), ['d'], dense([[1]]), { k: 1, signal })).rejects.toThrow('enough');
  });
});

test('topK is the start of the sorted list', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer()), fc.integer({ min: 0, max: 20 }), (items, k) => {
      const compare = (a: number, b: number) => a - b;
      expect(topK(items, k, compare)).toEqual([...items].sort(compare).slice(0, k));
    }),
  );
});
