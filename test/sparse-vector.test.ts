import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { DenseMatrix } from '../lib/encode/dense-matrix';
import { SparseMatrix } from '../lib/sparse-matrix';
import { SparseVector } from '../lib/sparse-vector';

const vocabulary = ['apple', 'pear', '2019', 'plum', '__proto__'];

function vector(weights: Record<number, number>, terms: readonly string[] = vocabulary): SparseVector {
  const ids = Object.keys(weights).map(Number);
  return new SparseVector(
    Uint32Array.from(ids),
    Float32Array.from(ids, (id) => weights[id]!),
    terms,
  );
}

test('toObject lists terms by weight, equal weights by term id', () => {
  expect(Object.entries(vector({ 0: 1, 1: 3, 3: 1 }).toObject())).toEqual([
    ['pear', 3],
    ['apple', 1],
    ['plum', 1],
  ]);
});

test('a term named __proto__ is a term like any other', () => {
  expect(Object.keys(vector({ 4: 2 }).toObject())).toEqual(['__proto__']);
});

test('entries keep the order by weight where a plain object cannot', () => {
  const both = vector({ 0: 3, 2: 1 });
  expect(both.entries()).toEqual([
    ['apple', 3],
    ['2019', 1],
  ]);
  expect(Object.keys(both.toObject())).toEqual(['2019', 'apple']);
});

test('the products that explain lists sum to dot', () => {
  const a = vector({ 0: 1, 1: 2, 3: 0.5 });
  const b = vector({ 1: 3, 2: 9, 3: 4 });
  expect(a.explain(b)).toEqual([
    { term: 'pear', weight: 2, otherWeight: 3, product: 6 },
    { term: 'plum', weight: 0.5, otherWeight: 4, product: 2 },
  ]);
  expect(a.dot(b)).toBe(8);
});

test('vectors over different vocabularies meet in the terms that both know', () => {
  const other = vector({ 0: 5, 1: 7 }, ['plum', 'fig']);
  expect(vector({ 0: 1, 3: 2 }).explain(other)).toEqual([{ term: 'plum', weight: 2, otherWeight: 5, product: 10 }]);
  expect(vector({ 0: 1, 3: 2 }).dot(other)).toBe(10);
});

test('an empty vector has no terms and no product with anything', () => {
  const empty = vector({});
  expect(empty.nnz).toBe(0);
  expect(empty.toObject()).toEqual({});
  expect(empty.dot(vector({ 0: 1 }))).toBe(0);
});

test('a matrix gives back the vectors it was made of', () => {
  const rows = [vector({ 0: 1, 3: 2 }), vector({}), vector({ 2: 4 })];
  const matrix = SparseMatrix.fromVectors(rows, vocabulary);
  expect(matrix.rows).toBe(3);
  expect(matrix.nnz).toBe(3);
  expect([...matrix].map((row) => row.toObject())).toEqual(rows.map((row) => row.toObject()));
});

test.each([
  ['sparse', SparseMatrix.fromVectors([vector({ 0: 1 }), vector({ 1: 2, 3: 1 })], vocabulary)],
  ['dense', new DenseMatrix(2, 3, new Float32Array(6))],
])('a %s matrix has no rows beyond its last one', (_, matrix) => {
  for (const row of [-1, 2, 5, 0.5, Number.NaN, undefined, '0']) {
    expect(() => matrix.row(row as number)).toThrow(
      expect.objectContaining({
        code: 'ERR_OPTION_RANGE',
        message: `row is ${typeof row === 'string' ? `"${row}"` : row}, expected an integer in 0..1`,
      }),
    );
  }
  expect(() => SparseMatrix.fromVectors([], vocabulary).row(0)).toThrow(
    'row is 0, expected none: the matrix has 0 rows',
  );
});

describe('a vector is shown by its terms', () => {
  const shown = vector({ 1: 0.5, 2: 0.25, 3: 2 });

  test('as JSON: what toObject gives, whatever it is part of', () => {
    expect(JSON.parse(JSON.stringify({ id: 'a', vector: shown }))).toEqual({ id: 'a', vector: shown.toObject() });
  });

  test('on the console: heaviest first, and not all of many', () => {
    expect(inspect(shown)).toBe("SparseVector(3) { 'plum' => 2, 'pear' => 0.5, '2019' => 0.25 }");
    const many = Array.from({ length: 5000 }, (_, i) => `t${i}`);
    const all = vector(Object.fromEntries(many.map((_, i) => [i, 1])), many);
    expect(inspect(all)).toContain('4900 more items');
    expect(inspect({ a: { b: { c: shown } } })).toBe('{ a: { b: { c: [SparseVector] } } }');
  });

  test('and neither vector nor matrix takes its vocabulary along to another thread or into JSON', () => {
    const matrix = SparseMatrix.fromVectors([shown], vocabulary);
    expect(Object.keys(structuredClone(shown)).sort()).toEqual(['terms', 'weights']);
    expect(Object.keys(structuredClone(matrix)).sort()).toEqual(['offsets', 'terms', 'weights']);
    for (const text of [inspect(matrix), JSON.stringify(matrix)]) expect(text).not.toContain('apple');
    expect([shown.vocabulary, matrix.vocabulary]).toEqual([vocabulary, vocabulary]);
  });
});
