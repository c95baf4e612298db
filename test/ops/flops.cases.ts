import { type OpCase, type Round, randomFloats } from '../support/native-ops';

export interface FlopsArguments {
  [name: string]: number | string | Float32Array | null;
  B: number;
  V: number;
  norm: 'L1' | 'L2';
  scale: number;
  weights: Float32Array;
  mask: Float32Array | null;
  term_weights: Float32Array | null;
}

function flops(B: number, V: number, norm: 'L1' | 'L2', masked = false, weighted = false): OpCase<FlopsArguments> {
  const parts = [`${norm}, ${B} rows of ${V} terms`, masked && 'a mask', weighted && 'term weights'];
  return {
    name: parts.filter(Boolean).join(', '),
    args: {
      B,
      V,
      norm,
      scale: 0.25,
      weights: randomFloats(B * V, 81).map((value) => Math.max(value, 0)),
      mask: masked ? Float32Array.from({ length: B }, (_, b) => +(b % 3 !== 1)) : null,
      term_weights: weighted ? randomFloats(V, 82).map(Math.abs) : null,
    },
  };
}

export const cases: OpCase<FlopsArguments>[] = (['L1', 'L2'] as const).flatMap((norm) => [
  flops(1, 1, norm),
  flops(5, 70, norm),
  flops(4, 1100, norm, true),
  flops(3, 33, norm, false, true),
  flops(7, 50, norm, true, true),
  flops(0, 5, norm),
  flops(3, 0, norm),
]);

export function reference(a: FlopsArguments, round: Round) {
  const { B, V } = a;
  const counts = (b: number) => (a.mask?.[b] ?? 1) === 1;
  const gradients = new Array<number>(B * V).fill(0);
  let value = 0;
  for (let v = 0; v < V; v++) {
    const t = a.term_weights?.[v] ?? 1;
    let sum = 0;
    for (let b = 0; b < B; b++) if (counts(b)) sum = round(sum + a.weights[b * V + v]!);
    const mean = round(t * round(sum / B));
    // The sum over terms is in double in every implementation.
    if (B > 0) value += a.norm === 'L2' ? mean * mean : mean;
    const slope = a.norm === 'L2' ? round(2 * round(t * mean)) : t;
    for (let b = 0; b < B; b++) if (counts(b)) gradients[b * V + v] = round((a.scale * slope) / B);
  }
  return { value: [round(value)], d_weights: gradients };
}
