import { checkObject } from '../check';
import { FlesError } from '../errors';
import { SparseMatrix } from '../sparse-matrix';

/** Mean number of non-zero terms of a row; 0 when there are no rows. */
export function meanNnz(matrix: SparseMatrix): number {
  checkMatrix('matrix', matrix);
  return matrix.rows === 0 ? 0 : matrix.nnz / matrix.rows;
}

/**
 * Products that a query and a document are expected to take: sum over terms of p_q(v) p_d(v), p the share of queries and
 * of documents that have the term. It is the mean number of shared terms over all pairs.
 *   Paria et al. 2020, arXiv:2004.05665, section 3; Formal et al. 2021, arXiv:2107.05720, section 4
 *
 * Throws `ERR_VOCABULARY_MISMATCH` for matrices over vocabularies of different sizes.
 */
export function flops(queries: SparseMatrix, documents: SparseMatrix): number {
  checkMatrix('queries', queries);
  checkMatrix('documents', documents);
  if (queries.vocabulary.length !== documents.vocabulary.length) {
    throw new FlesError(
      'ERR_VOCABULARY_MISMATCH',
      `queries have ${queries.vocabulary.length} terms and documents ${documents.vocabulary.length}, expected one vocabulary`,
    );
  }
  return expectedProducts(countRows(queries), queries.rows, countRows(documents), documents.rows);
}

/** The same from counts: how many of the queries, and how many of the documents, have each term. */
export function expectedProducts(
  queryCounts: ArrayLike<number>,
  queries: number,
  documentCounts: ArrayLike<number>,
  documents: number,
): number {
  if (queries === 0 || documents === 0) return 0;
  let sum = 0;
  for (let v = 0; v < queryCounts.length; v++) sum += (queryCounts[v]! / queries) * (documentCounts[v]! / documents);
  return sum;
}

/**
 * The entries above a threshold, unshifted, the others dropped: what encoding with that threshold gives.
 * Compared in float32, as weights are. A threshold of 0 returns the matrix itself.
 */
export function cut(matrix: SparseMatrix, threshold: number): SparseMatrix {
  const least = Math.fround(threshold);
  if (least === 0) return matrix;
  const offsets = new Float64Array(matrix.rows + 1);
  const terms = new Uint32Array(matrix.nnz);
  const weights = new Float32Array(matrix.nnz);
  let kept = 0;
  for (let row = 0; row < matrix.rows; row++) {
    for (let i = matrix.offsets[row]!; i < matrix.offsets[row + 1]!; i++) {
      if (matrix.weights[i]! > least) {
        terms[kept] = matrix.terms[i]!;
        weights[kept++] = matrix.weights[i]!;
      }
    }
    offsets[row + 1] = kept;
  }
  return new SparseMatrix(offsets, terms.slice(0, kept), weights.slice(0, kept), matrix.vocabulary);
}

function checkMatrix(name: string, matrix: SparseMatrix): void {
  checkObject(name, matrix, 'a SparseMatrix', ['rows', 'nnz', 'terms', 'vocabulary']);
}

/** How many rows have each term of the vocabulary. */
function countRows({ terms, vocabulary }: SparseMatrix): Float64Array {
  const counts = new Float64Array(vocabulary.length);
  for (const term of terms) counts[term]!++;
  return counts;
}
