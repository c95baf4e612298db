import { type OpCase, offsetsOf, type Round, randomFloats } from '../support/native-ops';

export interface EmbeddingBackwardArguments {
  [name: string]: number | Float32Array | Int32Array;
  B: number;
  T: number;
  C: number;
  V: number;
  P: number;
  tokens: Int32Array;
  offsets: Int32Array;
  d_sum: Float32Array;
}

function backward(name: string, lengths: number[], C: number, tokenOf: (t: number) => number, V = 19) {
  const offsets = offsetsOf(lengths);
  const T = offsets[lengths.length]!;
  const tokens = Int32Array.from({ length: T }, (_, t) => tokenOf(t));
  return { name, args: { B: lengths.length, T, C, V, P: 90, tokens, offsets, d_sum: randomFloats(T * C, 41) } };
}

export const cases: OpCase<EmbeddingBackwardArguments>[] = [
  backward('one token', [1], 5, () => 18),
  backward('several texts, some without tokens', [3, 0, 1, 12, 0, 7], 33, (t) => (t * 7 + 18) % 19),
  backward('one word everywhere, over several parts', [50, 0, 61], 20, () => 7),
  backward('every word once, in falling order', [40, 60], 16, (t) => 99 - t, 100),
  // The first and the last word, and runs that begin and end within parts.
  backward('some words often, some once', [90, 33, 90, 1], 9, (t) => (t % 3 === 0 ? 0 : t % 5 === 0 ? 18 : t % 17)),
  // More tokens than one block sorts.
  backward('tokens that are sorted in two chunks', Array(13).fill(90), 3, (t) => (t * 7 + 18) % 19),
  backward('only texts without tokens', [0, 0], 8, () => 0),
  backward('no text', [], 8, () => 0),
];

/** `before` is what the gradients held. */
export function reference(a: EmbeddingBackwardArguments, before: number, round: Round) {
  const rows = (count: number) => Array<number>(count * a.C).fill(0);
  const [d_word, d_position, d_type] = [rows(a.V), rows(a.P), rows(1)];
  for (let b = 0; b < a.B; b++) {
    for (let t = a.offsets[b]!; t < a.offsets[b + 1]!; t++) {
      for (let c = 0; c < a.C; c++) {
        const add = (sums: number[], row: number) => {
          sums[row * a.C + c] = round(sums[row * a.C + c]! + a.d_sum[t * a.C + c]!);
        };
        add(d_word, a.tokens[t]!);
        add(d_position, t - a.offsets[b]!);
        add(d_type, 0);
      }
    }
  }
  const added = (sums: number[]) => sums.map((sum) => round(before + sum));
  return { d_word: added(d_word), d_position: added(d_position), d_type: added(d_type) };
}
