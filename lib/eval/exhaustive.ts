import { setImmediate } from 'node:timers/promises';
import { checkArray, checkInteger, checkKeys, checkObject, show } from '../check';
import { FlesError, throwIfAborted } from '../errors';
import type { Hit } from '../index/inverted-index';
import { topK } from './top-k';

/** Dense rows, such as a `DenseMatrix`: row `i` is `values[i columns .. (i + 1) columns)`, float32. */
export interface DenseRows {
  rows: number;
  columns: number;
  values: Float32Array;
}

export interface DenseSearchOptions {
  /** Hits a query, 1..2^31-1. */
  k: number;
  signal?: AbortSignal;
  onProgress?(done: number, total: number): void;
}

/**
 * Exact search over dense rows: for each query the k documents of largest inner product, ties by lower document number.
 * Products are summed in float64 and rounded to float32. Row `i` of `documents` has the id `ids[i]`.
 *
 * Throws `ERR_DENSE_SHAPE` where rows, columns and ids do not fit together, and `ERR_DENSE_VALUE` for a product that is
 * not finite.
 */
export async function searchDense(
  documents: DenseRows,
  ids: readonly string[],
  queries: DenseRows,
  options: DenseSearchOptions,
): Promise<Hit[][]> {
  checkKeys(options, ['k', 'signal', 'onProgress']);
  const k = checkInteger('k', options.k, 1, 2 ** 31 - 1);
  for (const [name, rows] of Object.entries({ documents, queries })) {
    checkObject(name, rows, 'dense rows: {rows, columns, values}', ['rows', 'columns', 'values']);
    checkShape(name, rows, documents.columns);
  }
  checkArray('ids', ids, 'strings');
  if (ids.length !== documents.rows) {
    throw new FlesError(
      'ERR_DENSE_SHAPE',
      `there are ${ids.length} ids, expected one for each of ${documents.rows} rows`,
    );
  }
  throwIfAborted(options.signal);
  const scores = new Float32Array(documents.rows);
  const compare = (a: number, b: number) => scores[b]! - scores[a]! || a - b;
  const results: Hit[][] = [];
  for (let q = 0; q < queries.rows; q++) {
    throwIfAborted(options.signal);
    multiply(documents, queries.values.subarray(q * queries.columns, (q + 1) * queries.columns), scores);
    const best = topK(scores.keys(), k, compare);
    results.push(best.map((document) => ({ id: ids[document]!, document, score: scores[document]! })));
    options.onProgress?.(q + 1, queries.rows);
    // Lets timers and the signal of an abort through.
    await setImmediate();
  }
  return results;
}

function multiply({ rows, columns, values }: DenseRows, query: Float32Array, scores: Float32Array): void {
  for (let row = 0; row < rows; row++) {
    const begin = row * columns;
    let sum = 0;
    for (let c = 0; c < columns; c++) sum += values[begin + c]! * query[c]!;
    if (!Number.isFinite(Math.fround(sum))) {
      throw new FlesError(
        'ERR_DENSE_VALUE',
        `document ${row} has the score ${sum}, expected a finite number (float32)`,
      );
    }
    scores[row] = sum;
  }
}

function checkShape(name: string, { rows, columns, values }: DenseRows, expected: number): void {
  if (!(values instanceof Float32Array)) {
    throw new FlesError('ERR_ARGUMENT_TYPE', `values of ${name} are ${show(values)}, expected a Float32Array`);
  }
  if (columns !== expected || values.length !== rows * columns) {
    throw new FlesError(
      'ERR_DENSE_SHAPE',
      `${name} have ${rows} rows of ${columns} in ${values.length} values, expected rows of ${expected}`,
    );
  }
}
