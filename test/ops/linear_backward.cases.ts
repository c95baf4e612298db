import { asMultiplied, type DataType } from '../support/data-types';
import { type OpCase, type Round, randomFloats } from '../support/native-ops';

export interface LinearBackwardArguments {
  [name: string]: number | Float32Array;
  T: number;
  N: number;
  K: number;
  d_out: Float32Array;
  in: Float32Array;
  weight: Float32Array;
}

function linearBackward(T: number, N: number, K: number): OpCase<LinearBackwardArguments> {
  return {
    name: `(${T}, ${N}) with (${N}, ${K})`,
    args: {
      T,
      N,
      K,
      d_out: randomFloats(T * N, 31),
      in: randomFloats(T * K, 32),
      weight: randomFloats(N * K, 33),
    },
  };
}

export const cases: OpCase<LinearBackwardArguments>[] = [
  linearBackward(1, 1, 1),
  linearBackward(1, 17, 33),
  linearBackward(6, 8, 16),
  linearBackward(13, 31, 29),
  linearBackward(29, 5, 65),
  linearBackward(64, 12, 7),
  // More rows, and more columns, than are multiplied at once.
  linearBackward(1100, 3, 5),
  linearBackward(3, 2100, 5),
  linearBackward(130, 20, 11),
  linearBackward(0, 5, 4),
  linearBackward(4, 0, 4),
];

/** Sums over the middle index of `a(i, k) b(k, j)`, added to `start`. */
function product(
  [rows, inner, columns]: [number, number, number],
  a: (i: number, k: number) => number,
  b: (k: number, j: number) => number,
  start: (at: number) => number,
  round: Round,
): number[] {
  return Array.from({ length: rows * columns }, (_, at) => {
    const i = Math.floor(at / columns);
    const j = at % columns;
    let sum = 0;
    for (let k = 0; k < inner; k++) sum = round(sum + round(a(i, k) * b(k, j)));
    return round(start(at) + sum);
  });
}

/** Values of the inner dimension that share a scale in int16. */
const atOnce = 1024;

/** A matrix of rows of `columns` values as products of this type multiply it. */
function inParts(dtype: DataType, values: ArrayLike<number>, columns: number): number[] {
  const rows = columns === 0 ? 0 : values.length / columns;
  return Array.from({ length: rows }, (_, r) => {
    const row = Array.from({ length: columns }, (_, c) => values[r * columns + c]!);
    return Array.from({ length: Math.ceil(columns / atOnce) }, (_, part) => {
      const some = row.slice(part * atOnce, (part + 1) * atOnce);
      return Array.from(asMultiplied(dtype, some, some.length));
    }).flat();
  }).flat();
}

/** The transpose of a matrix of rows of `columns` values. */
function transposed(values: Float32Array, columns: number): number[] {
  const rows = columns === 0 ? 0 : values.length / columns;
  return Array.from({ length: columns * rows }, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);
}

/** `before` is what the accumulated gradients held. */
export function reference(a: LinearBackwardArguments, dtype: DataType, before: number, round: Round) {
  const { T, N, K } = a;
  const dOut = inParts(dtype, a.d_out, N);
  const dOutColumns = inParts(dtype, transposed(a.d_out, N), T);
  const inColumns = inParts(dtype, transposed(a.in, K), T);
  const weightColumns = inParts(dtype, transposed(a.weight, K), N);
  return {
    d_in: product(
      [T, N, K],
      (t, n) => dOut[t * N + n]!,
      (n, k) => weightColumns[k * N + n]!,
      () => 0,
      round,
    ),
    d_weight: product(
      [N, T, K],
      (n, t) => dOutColumns[n * T + t]!,
      (t, k) => inColumns[k * T + t]!,
      () => before,
      round,
    ),
    d_bias: product(
      [1, T, N],
      () => 1,
      (t, n) => a.d_out[t * N + n]!,
      () => before,
      round,
    ),
  };
}
