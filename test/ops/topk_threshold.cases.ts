import { type OpCase, type Round, randomFloats } from '../support/native-ops';

export interface TopkThresholdArguments {
  [name: string]: number | string | Float32Array | Uint8Array | null;
  B: number;
  V: number;
  k: number;
  threshold: number;
  activation: 'log1p' | 'log1p_log1p' | 'none';
  pooled: Float32Array;
  drop: Uint8Array | null;
}

type Options = Partial<Pick<TopkThresholdArguments, 'k' | 'threshold' | 'activation' | 'drop'>>;

export function rows(name: string, pooled: ArrayLike<number>, V: number, options: Options = {}) {
  const { k = V, threshold = 0, activation = 'log1p', drop = null } = options;
  const values = Float32Array.from(pooled);
  return { name, args: { B: V === 0 ? 0 : values.length / V, V, k, threshold, activation, pooled: values, drop } };
}

const { NaN: none, NEGATIVE_INFINITY: infinite } = Number;
const random = randomFloats(5 * 61, 51);
const ties = [1, 3, 2, 3, 0.5, 3, 2, 3, 1, 2];
const lastBits = Array.from({ length: 40 }, (_, v) => 1 + ((7 * v) % 40) * 2 ** -23);

export const cases: OpCase<TopkThresholdArguments>[] = [
  rows('everything above 0', random, 61),
  rows('log1p of log1p', random, 61, { activation: 'log1p_log1p' }),
  rows('values as they are', random, 61, { activation: 'none' }),
  rows('weights above a threshold', random, 61, { threshold: 0.3 }),
  rows('the 7 largest of a row', random, 61, { k: 7 }),
  rows('the largest above a threshold', random, 61, { k: 9, threshold: 0.8, activation: 'none' }),
  rows('no weight equal to the threshold', ties, 10, { threshold: 2, activation: 'none' }),
  rows('of equal weights those of the lowest terms', ties, 10, { k: 2, activation: 'none' }),
  rows('ties across the cut, the rest in order of terms', ties, 10, { k: 6, activation: 'none' }),
  rows('one term of a row', ties, 10, { k: 1, activation: 'none' }),
  rows('as many terms as are left', ties, 10, { k: 10, activation: 'none' }),
  rows('no term that is dropped', ties, 10, {
    activation: 'none',
    drop: Uint8Array.of(0, 1, 0, 0, 0, 1, 0, 0, 0, 0),
    k: 2,
  }),
  rows('nothing of rows without a positive value', [-1, 0, -0, infinite, none, -3], 3),
  rows('the row between two empty ones', [-1, -1, 5, 0.25, -1, -1], 2, { k: 1 }),
  rows('weights of tiny and of huge values', [1e-30, 1e-6, 3e38, 1], 4),
  rows('weights that differ in their last bits alone', lastBits, 40, { k: 9, activation: 'none' }),
  rows('nothing of no rows', [], 0),
];

/** Rows of `[term, weight]`, in the order of terms. */
export function reference(a: TopkThresholdArguments, round: Round): [number, number][][] {
  const log1p = (x: number) => round(Math.log1p(x));
  const activate = { none: (x: number) => x, log1p, log1p_log1p: (x: number) => log1p(log1p(x)) }[a.activation];
  return Array.from({ length: a.B }, (_, b) => {
    const row = Array.from(a.pooled.subarray(b * a.V, (b + 1) * a.V), (x, v): [number, number] => [v, x]);
    return row
      .filter(([v, x]) => x > 0 && !a.drop?.[v])
      .map(([v, x]): [number, number] => [v, activate(x)])
      .filter(([, w]) => w > Math.fround(a.threshold))
      .sort(([u, x], [v, y]) => y - x || u - v)
      .slice(0, a.k)
      .sort(([u], [v]) => u - v);
  });
}
