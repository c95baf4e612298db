import { type OpCase, type Round, randomFloats } from '../support/native-ops';

export interface AntiCollapseArguments {
  [name: string]: number | Float32Array | Uint8Array | null;
  B: number;
  V: number;
  k: number;
  margin: number;
  scale: number;
  pooled: Float32Array;
  drop: Uint8Array | null;
}

function collapse(name: string, B: number, V: number, k: number, margin: number, dropped = false) {
  return {
    name,
    args: {
      B,
      V,
      k,
      margin,
      scale: 0.25,
      // Multiples of 1/16: there are ties.
      pooled: randomFloats(B * V, 91).map((value) => Math.round(value * 16) / 16),
      drop: dropped ? Uint8Array.from({ length: V }, (_, v) => +(v % 3 === 0)) : null,
    },
  };
}

export const cases: OpCase<AntiCollapseArguments>[] = [
  collapse('a row of one term', 1, 1, 1, 3),
  collapse('no value reaches the margin', 4, 70, 16, 3),
  collapse('some of the k largest are below the margin', 5, 60, 16, 1.5),
  collapse('some terms are dropped', 5, 60, 16, 1.5, true),
  collapse('a healthy row', 3, 90, 4, 0.5),
  collapse('more terms asked for than there are', 3, 5, 16, 0.5),
  collapse('no row', 0, 5, 3, 0.5),
  collapse('no term', 2, 0, 3, 0.5),
];

export function reference(a: AntiCollapseArguments, before: number, round: Round) {
  const { B, V, k } = a;
  const gradients = new Array<number>(B * V).fill(before);
  const step = B === 0 ? 0 : round(a.scale / (B * k));
  let value = 0;
  let squares = 0;
  for (let b = 0; b < B; b++) {
    const z = (v: number) => a.pooled[b * V + v]!;
    const terms = Array.from({ length: V }, (_, v) => v).filter((v) => !a.drop?.[v]);
    for (const v of terms.sort((x, y) => z(y) - z(x) || x - y).slice(0, k)) {
      if (z(v) >= a.margin) continue;
      value += (a.margin - z(v)) / (B * k);
      squares += step * step;
      gradients[b * V + v] = round(before - step);
    }
  }
  return { value: [round(value)], d_pooled: gradients, squares: [round(squares)] };
}
