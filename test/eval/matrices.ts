import fc from 'fast-check';
import type { DenseRows } from '../../lib/eval/exhaustive';
import { SparseMatrix } from '../../lib/sparse-matrix';
import { SparseVector } from '../../lib/sparse-vector';

/** Sparse rows from `{term id: weight}`, over the terms t0, t1, ... */
export function sparse(rows: readonly Record<number, number>[], terms: number): SparseMatrix {
  const vocabulary = Array.from({ length: terms }, (_, i) => `t${i}`);
  const vectors = rows.map((row) => {
    const ids = Object.keys(row).map(Number);
    return new SparseVector(Uint32Array.from(ids), Float32Array.from(ids.map((id) => row[id]!)), vocabulary);
  });
  return SparseMatrix.fromVectors(vectors, vocabulary);
}

/** Rows for `sparse` with weights that float32 sums exactly. */
export function sparseRows(terms: number) {
  const row = fc.dictionary(fc.integer({ min: 0, max: terms - 1 }).map(String), fc.integer({ min: 1, max: 8 }));
  return fc.array(row, { maxLength: 8 }) as fc.Arbitrary<Record<number, number>[]>;
}

/** Dense rows. */
export function dense(rows: readonly number[][], columns = rows[0]?.length ?? 0): DenseRows {
  return { rows: rows.length, columns, values: Float32Array.from(rows.flat()) };
}
