import { type OpCase, offsetsOf, products, type Round, randomFloats } from '../support/native-ops';

type HeadPooling = 'max' | 'sum' | 'sum_log1p';

export interface SparseHeadBackwardArguments {
  [name: string]: number | string | Float32Array | Int32Array | null;
  B: number;
  T: number;
  C: number;
  V: number;
  pooling: HeadPooling;
  d_pooled: Float32Array;
  argmax: Int32Array | null;
  in: Float32Array;
  weight: Float32Array;
  bias: Float32Array;
  offsets: Int32Array;
}

/** Gradients are 0 for a third of the terms; the largest logit stands at any row of its text. */
function head(name: string, pooling: HeadPooling, lengths: number[], V: number, C: number) {
  const B = lengths.length;
  const offsets = offsetsOf(lengths);
  const T = offsets[B]!;
  const draws = randomFloats(B * V, 53);
  const argmax = Int32Array.from(draws, (draw, i) => {
    const b = Math.floor(i / V);
    const length = lengths[b]!;
    return length === 0 ? -1 : offsets[b]! + Math.min(length - 1, Math.floor(((draw + 2) / 4) * length));
  });
  const args: SparseHeadBackwardArguments = {
    B,
    T,
    C,
    V,
    pooling,
    d_pooled: randomFloats(B * V, 54).map((value, i) => (i % 3 === 1 ? 0 : value)),
    argmax: pooling === 'max' ? argmax : null,
    in: randomFloats(T * C, 55),
    weight: randomFloats(V * C, 56),
    bias: randomFloats(V, 57),
    offsets,
  };
  return { name: `${name} (${pooling})`, args };
}

export const cases: OpCase<SparseHeadBackwardArguments>[] = (['max', 'sum', 'sum_log1p'] as const).flatMap(
  (pooling) => [
    head('one token', pooling, [1], 1, 1),
    head('texts of several lengths, some empty', pooling, [3, 0, 1, 20, 0], 70, 9),
    head('rows of whole and broken vectors', pooling, [5, 4], 33, 83),
    head('more texts than a thread takes at a time', pooling, [2, 3, 1, 2, 4, 1, 1, 2, 3, 2, 1], 40, 5),
    head('more terms than are handled at once', pooling, [4, 0, 7], 1100, 6),
    head('only texts without tokens', pooling, [0, 0], 5, 3),
    head('no text', pooling, [], 5, 3),
    // The widths of BERT, and one that fills no vector: more columns than a warp takes.
    ...(pooling === 'max' ? [768, 1000, 1024] : [1000]).map((C) =>
      head(`${C} columns`, pooling, [3, 0, 1, 9], C === 768 ? 150 : 70, C),
    ),
  ],
);

/** The gradient of every logit, (T, V). */
function logitGradients(a: SparseHeadBackwardArguments, round: Round): number[] {
  const z = products(a.in, a.weight, [a.T, a.V, a.C], round).map((sum, i) => round(sum + a.bias[i % a.V]!));
  const gradients = new Array<number>(a.T * a.V).fill(0);
  for (let b = 0; b < a.B; b++) {
    for (let t = a.offsets[b]!; t < a.offsets[b + 1]!; t++) {
      for (let v = 0; v < a.V; v++) {
        const d = a.d_pooled[b * a.V + v]!;
        const at = t * a.V + v;
        if (a.argmax) gradients[at] = a.argmax[b * a.V + v] === t ? d : 0;
        else if (z[at]! > 0) {
          const slope = round(1 / round(1 + z[at]!));
          const inner = a.pooling === 'sum' ? 1 : round(1 + round(Math.log1p(z[at]!)));
          gradients[at] = round(d * round(slope / inner));
        }
      }
    }
  }
  return gradients;
}

/** `before` is what the accumulated gradients held. */
export function reference(a: SparseHeadBackwardArguments, before: number, round: Round) {
  const { T, C, V } = a;
  const dz = logitGradients(a, round);
  const sum = (count: number, start: number, term: (i: number) => number) => {
    let total = start;
    for (let i = 0; i < count; i++) total = round(total + round(term(i)));
    return total;
  };
  return {
    d_in: Array.from({ length: T * C }, (_, at) =>
      sum(V, 0, (v) => dz[Math.floor(at / C) * V + v]! * a.weight[v * C + (at % C)]!),
    ),
    d_weight: Array.from({ length: V * C }, (_, at) =>
      sum(T, before, (t) => dz[t * V + Math.floor(at / C)]! * a.in[t * C + (at % C)]!),
    ),
    d_bias: Array.from({ length: V }, (_, v) => sum(T, before, (t) => dz[t * V + v]!)),
  };
}
