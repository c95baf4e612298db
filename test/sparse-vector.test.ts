import { expect, test } from 'vitest';
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
