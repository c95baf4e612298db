import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cut, flops, meanNnz } from '../../lib/eval/statistics';
import { sparse, sparseRows } from './matrices';
import { thrown } from './thrown';

test('mean NNZ is entries over rows, and 0 without rows', () => {
  expect(meanNnz(sparse([{ 0: 1, 2: 1 }, {}, { 1: 1 }], 3))).toBe(1);
  expect(meanNnz(sparse([], 3))).toBe(0);
});

test('FLOPS is the mean number of shared terms over all pairs of a query and a document', () => {
  fc.assert(
    fc.property(sparseRows(5), sparseRows(5), (a, b) => {
      const queries = sparse(a, 5);
      const documents = sparse(b, 5);
      let shared = 0;
      for (const query of queries) for (const document of documents) shared += query.explain(document).length;
      const pairs = Math.max(1, a.length * b.length);
      expect(flops(queries, documents)).toBeCloseTo(shared / pairs, 10);
    }),
  );
});

test('vocabularies of different sizes are refused', () => {
  expect(thrown(() => flops(sparse([], 2), sparse([], 3))).code).toBe('ERR_VOCABULARY_MISMATCH');
});

test('a cut keeps the weights above the threshold as they are', () => {
  const matrix = cut(sparse([{ 0: 0.25, 1: 0.5, 2: 2 }, { 1: 0.5 }, { 0: 1 }], 3), 0.5);
  expect([...matrix].map((row) => row.toObject())).toEqual([{ t2: 2 }, {}, { t0: 1 }]);
});

test('a weight that equals the threshold in float32 is cut', () => {
  // As a float64, fround(0.3) is above 0.3.
  expect(cut(sparse([{ 0: 0.3 }], 1), 0.3).nnz).toBe(0);
});

test('a cut at 0 is the matrix itself', () => {
  const matrix = sparse([{ 0: 1 }], 1);
  expect(cut(matrix, 0)).toBe(matrix);
});
