import { bfloat16 } from '../support/data-types';
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
  // More rows than are multiplied at once.
  linearBackward(1100, 3, 5),
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

/** `before` is what the accumulated gradients held. */
export function reference(a: LinearBackwardArguments, dtype: 'float32' | 'bfloat16', before: number, round: Round) {
  const { T, N, K } = a;
  const factor = dtype === 'bfloat16' ? bfloat16 : (x: number) => x;
  const dOut = (t: number, n: number) => factor(a.d_out[t * N + n]!);
  return {
    d_in: product(
      [T, N, K],
      dOut,
      (n, k) => factor(a.weight[n * K + k]!),
      () => 0,
      round,
    ),
    d_weight: product(
      [N, T, K],
      (n, t) => dOut(t, n),
      (t, k) => factor(a.in[t * K + k]!),
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
