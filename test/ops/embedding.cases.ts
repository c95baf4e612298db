import { layernormRow, type OpCase, offsetsOf, type Round, randomFloats } from '../support/native-ops';

export interface EmbeddingArguments {
  [name: string]: number | Float32Array | Int32Array | null;
  B: number;
  T: number;
  C: number;
  V: number;
  P: number;
  eps: number;
  tokens: Int32Array;
  offsets: Int32Array;
  word: Float32Array;
  position: Float32Array;
  type: Float32Array | null;
  gamma: Float32Array;
  beta: Float32Array;
}

function embedding(name: string, lengths: number[], C: number, withType = true): OpCase<EmbeddingArguments> {
  const [V, P] = [19, 12];
  const offsets = offsetsOf(lengths);
  const T = offsets[lengths.length]!;
  return {
    name,
    args: {
      B: lengths.length,
      T,
      C,
      V,
      P,
      eps: 1e-12,
      // The first and the last id of the vocabulary are among them.
      tokens: Int32Array.from({ length: T }, (_, t) => (t * 7 + V - 1) % V),
      offsets,
      word: randomFloats(V * C, 11),
      position: randomFloats(P * C, 12),
      type: withType ? randomFloats(C, 13) : null,
      gamma: randomFloats(C, 14),
      beta: randomFloats(C, 15),
    },
  };
}

export const cases: OpCase<EmbeddingArguments>[] = [
  embedding('one token', [1], 5),
  embedding('a text as long as there are positions', [12], 9),
  embedding('several texts, some without tokens', [3, 0, 1, 12, 0, 7], 33),
  embedding('several texts without token types (DistilBERT)', [3, 0, 12], 16, false),
  embedding('only texts without tokens', [0, 0], 8),
  embedding('no text', [], 8),
];

/** The rows before and after their LayerNorm. */
export function reference(a: EmbeddingArguments, round: Round): { sum: number[]; out: number[] } {
  const [sum, out]: [number[], number[]] = [[], []];
  for (let b = 0; b < a.B; b++) {
    for (let t = a.offsets[b]!; t < a.offsets[b + 1]!; t++) {
      const i = t - a.offsets[b]!;
      const x = Array.from({ length: a.C }, (_, c) =>
        round(round(a.word[a.tokens[t]! * a.C + c]! + a.position[i * a.C + c]!) + (a.type === null ? 0 : a.type[c]!)),
      );
      sum.push(...x);
      out.push(...layernormRow(x, a.gamma, a.beta, a.eps, round));
    }
  }
  return { sum, out };
}
