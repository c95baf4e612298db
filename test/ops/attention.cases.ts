import { type OpCase, offsetsOf, type Round, randomFloats } from '../support/native-ops';

export interface AttentionArguments {
  [name: string]: number | Float32Array | Int32Array;
  B: number;
  T: number;
  C: number;
  H: number;
  qkv: Float32Array;
  offsets: Int32Array;
}

function attention(name: string, lengths: number[], C: number, H: number, scale = 1): OpCase<AttentionArguments> {
  const offsets = offsetsOf(lengths);
  const T = offsets[lengths.length]!;
  const qkv = randomFloats(T * 3 * C, 31).map((x) => x * scale);
  return { name, args: { B: lengths.length, T, C, H, qkv, offsets } };
}

export const cases: OpCase<AttentionArguments>[] = [
  attention('one token, whose result is its value', [1], 6, 2),
  attention('one head of one dimension', [3], 1, 1),
  attention('heads of odd size', [17], 15, 3),
  attention('texts of several lengths, some empty', [5, 0, 1, 33, 16, 0], 24, 2),
  attention('a text longer than any tile', [130], 16, 1),
  attention('scores that differ by hundreds', [40, 9], 8, 2, 20),
  attention('only texts without tokens', [0, 0, 0], 6, 3),
  attention('no text', [], 6, 3),
];

export function reference({ B, T, C, H, qkv, offsets }: AttentionArguments, round: Round): number[] {
  const out = new Array<number>(T * C).fill(0);
  const D = C / H;
  const scale = round(1 / Math.sqrt(D));
  for (let b = 0; b < B; b++) {
    const [first, end] = [offsets[b]!, offsets[b + 1]!];
    for (let h = 0; h < H; h++) {
      const at = (t: number, part: number, d: number) => qkv[(t * 3 + part) * C + h * D + d]!;
      for (let t = first; t < end; t++) {
        const scores: number[] = [];
        for (let j = first; j < end; j++) {
          let sum = 0;
          for (let d = 0; d < D; d++) sum = round(sum + round(round(at(t, 0, d) * scale) * at(j, 1, d)));
          scores.push(sum);
        }
        const top = Math.max(...scores);
        const weights = scores.map((score) => round(Math.exp(round(score - top))));
        const total = weights.reduce((sum, weight) => round(sum + weight), 0);
        for (let d = 0; d < D; d++) {
          let sum = 0;
          for (const [j, weight] of weights.entries()) {
            sum = round(sum + round(round(weight / total) * at(first + j, 2, d)));
          }
          out[t * C + h * D + d] = sum;
        }
      }
    }
  }
  return out;
}
