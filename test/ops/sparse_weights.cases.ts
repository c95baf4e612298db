import { type OpCase, type Round, randomFloats } from '../support/native-ops';

export type WeightActivation = 'log1p' | 'log1p_log1p' | 'none';

export interface SparseWeightsArguments {
  [name: string]: number | string | Float32Array | Uint8Array | null;
  B: number;
  V: number;
  activation: WeightActivation;
  pooled: Float32Array;
  drop: Uint8Array | null;
}

/** About half of the values are at or below 0, some of them infinite; some are tiny and some large. */
function rows(B: number, V: number, activation: WeightActivation, dropped: boolean): OpCase<SparseWeightsArguments> {
  const pooled = randomFloats(B * V, 61);
  if (B * V > 7) pooled.set([0, -0, Number.NEGATIVE_INFINITY, 1e-30, 3e4], 1);
  const drop = dropped ? Uint8Array.from({ length: V }, (_, v) => +(v % 5 === 2)) : null;
  return {
    name: `${B} rows of ${V} terms, ${activation}${dropped ? ', some dropped' : ''}`,
    args: { B, V, activation, pooled, drop },
  };
}

export const cases: OpCase<SparseWeightsArguments>[] = (['log1p', 'log1p_log1p', 'none'] as const).flatMap(
  (activation) => [
    rows(1, 1, activation, false),
    rows(3, 70, activation, false),
    rows(4, 1100, activation, true),
    rows(0, 7, activation, false),
    rows(2, 0, activation, false),
  ],
);

/** Whether a value becomes a weight. */
export function isKept(a: SparseWeightsArguments, i: number): boolean {
  return a.pooled[i]! > 0 && !a.drop?.[i % a.V];
}

export function weights(a: SparseWeightsArguments, round: Round): number[] {
  return Array.from(a.pooled, (x, i) => {
    if (!isKept(a, i)) return 0;
    if (a.activation === 'none') return x;
    const weight = round(Math.log1p(x));
    return a.activation === 'log1p' ? weight : round(Math.log1p(weight));
  });
}

export function slopes(a: SparseWeightsArguments, round: Round): number[] {
  return Array.from(a.pooled, (x, i) => {
    if (!isKept(a, i)) return 0;
    if (a.activation === 'none') return 1;
    const outer = round(1 + x);
    const inner = a.activation === 'log1p' ? 1 : round(1 + round(Math.log1p(x)));
    return round(1 / round(outer * inner));
  });
}
