import { checkArray, checkObject, checkRow } from './check';
import { SparseVector } from './sparse-vector';

/**
 * Sparse rows in CSR form: row `i` is `terms[offsets[i]..offsets[i+1])` with the `weights` beside them.
 *
 *   offsets  (rows + 1)  first entry 0, ascending
 *   terms    (nnz)       term ids, ascending within a row
 *   weights  (nnz)       float32, > 0
 */
export class SparseMatrix implements Iterable<SparseVector> {
  readonly offsets: Float64Array;
  readonly terms: Uint32Array;
  readonly weights: Float32Array;
  readonly #vocabulary: readonly string[];

  constructor(offsets: Float64Array, terms: Uint32Array, weights: Float32Array, vocabulary: readonly string[]) {
    this.offsets = offsets;
    this.terms = terms;
    this.weights = weights;
    this.#vocabulary = vocabulary;
  }

  /** The strings that term ids stand for. */
  get vocabulary(): readonly string[] {
    return this.#vocabulary;
  }

  /** Number of rows. */
  get rows(): number {
    return this.offsets.length - 1;
  }

  /** Number of non-zero entries of all rows. */
  get nnz(): number {
    return this.terms.length;
  }

  /** Row `i` as a view of this matrix (no copy). Throws `ERR_OPTION_RANGE` unless i is an integer in 0..rows-1. */
  row(i: number): SparseVector {
    checkRow(i, this.rows);
    const begin = this.offsets[i]!;
    const end = this.offsets[i + 1]!;
    return new SparseVector(this.terms.subarray(begin, end), this.weights.subarray(begin, end), this.vocabulary);
  }

  *[Symbol.iterator](): Iterator<SparseVector> {
    for (let i = 0; i < this.rows; i++) yield this.row(i);
  }

  /** The rows of several vectors over one vocabulary, copied into one matrix. */
  static fromVectors(
    vectors: readonly Pick<SparseVector, 'terms' | 'weights'>[],
    vocabulary: readonly string[],
  ): SparseMatrix {
    for (const [i, vector] of checkArray('vectors', vectors, 'sparse vectors').entries()) {
      checkObject(`vectors[${i}]`, vector, 'a SparseVector', ['terms', 'weights']);
    }
    const offsets = new Float64Array(vectors.length + 1);
    for (const [i, vector] of vectors.entries()) offsets[i + 1] = offsets[i]! + vector.terms.length;
    const nnz = offsets[vectors.length]!;
    const terms = new Uint32Array(nnz);
    const weights = new Float32Array(nnz);
    for (const [i, vector] of vectors.entries()) {
      terms.set(vector.terms, offsets[i]!);
      weights.set(vector.weights, offsets[i]!);
    }
    return new SparseMatrix(offsets, terms, weights, vocabulary);
  }
}
