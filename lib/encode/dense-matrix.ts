import { checkRow } from '../check';

/** Dense rows: row `i` is `values[i * columns .. (i + 1) * columns)`, float32. */
export class DenseMatrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;

  constructor(rows: number, columns: number, values: Float32Array) {
    this.rows = rows;
    this.columns = columns;
    this.values = values;
  }

  /** Row `i` as a view (no copy). Throws `ERR_OPTION_RANGE` unless i is an integer in 0..rows-1. */
  row(i: number): Float32Array {
    checkRow(i, this.rows);
    return this.values.subarray(i * this.columns, (i + 1) * this.columns);
  }
}
