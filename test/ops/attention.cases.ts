import { type OpCase, offsetsOf, type Round, randomFloats } from '../support/native-ops';
import { attentionIndex, dropoutFactor } from '../support/philox';

export interface AttentionArguments {
  [name: string]: number | Float32Array | Int32Array;
  B: number;
  T: number;
  C: number;
  H: number;
  dropout: number;
  seed: number;
  qkv: Float32Array;
  offsets: Int32Array;
  text_ids: Int32Array;
}

function attention(
  name: string,
  lengths: number[],
  C: number,
  H: number,
  { scale = 1, dropout = 0, seed = 5 } = {},
): OpCase<AttentionArguments> {
  const offsets = offsetsOf(lengths);
  const T = offsets[lengths.length]!;
  const qkv = randomFloats(T * 3 * C, 31).map((x) => x * scale);
  const text_ids = Int32Array.from(lengths, (_, b) => 1000 + 7 * b);
  return { name, args: { B: lengths.length, T, C, H, dropout, seed, qkv, offsets, text_ids } };
}

export const cases: OpCase<AttentionArguments>[] = [
  attention('one token, whose result is its value', [1], 6, 2),
  attention('one head of one dimension', [3], 1, 1),
  attention('heads of odd size', [17], 15, 3),
  attention('texts of several lengths, some empty', [5, 0, 1, 33, 16, 0], 24, 2),
  attention('a text longer than any tile', [130], 16, 1),
  attention('scores that differ by hundreds', [40, 9], 8, 2, { scale: 20 }),
  attention('single tokens, some of whose scores are below -100', [1, 1, 1, 1], 8, 2, { scale: 8 }),
  attention('only texts without tokens', [0, 0, 0], 6, 3),
  attention('no text', [], 6, 3),
  attention('texts with a tenth of the probabilities dropped', [5, 0, 1, 33, 16, 60], 24, 2, { dropout: 0.1 }),
  attention('texts with half of the probabilities dropped', [130, 8, 7, 2], 20, 2, { dropout: 0.5, seed: 2 ** 31 - 1 }),
  // More scores than the backward pass keeps at once.
  attention('a long text with a tenth dropped', [200], 4, 1, { dropout: 0.1 }),
  attention('one token that may be dropped', [1, 1, 1, 1], 6, 2, { dropout: 0.5 }),
  // As wide as the kernels of CUDA hold them, and between: MiniLM has 32, BERT 64, others up to 128.
  ...[32, 64, 96, 128].map((D) => attention(`heads of ${D}`, [1, 37], 2 * D, 2, { scale: 0.5 })),
  ...[32, 64, 96, 128].map((D) => attention(`heads of ${D} with dropout`, [1, 37], D, 1, { scale: 0.5, dropout: 0.1 })),
];

/** Texts so long that products of less exact types are worth their packing, and shorter ones beside them. */
export const longTexts: OpCase<AttentionArguments>[] = [24, 32, 64, 96].map((D) =>
  attention(`heads of ${D} of long texts`, [130, 64, 3, 63], 2 * D, 2, { scale: 0.5 }),
);

/** A head of a text: its first row, its length, and what its probabilities are multiplied by. */
export interface Head {
  b: number;
  h: number;
  first: number;
  S: number;
  factor(i: number, j: number): number;
}

export function heads({ B, H, offsets, text_ids, dropout, seed }: AttentionArguments): Head[] {
  return Array.from({ length: B * H }, (_, at) => {
    const [b, h] = [Math.floor(at / H), at % H];
    const first = offsets[b]!;
    const S = offsets[b + 1]! - first;
    const factor = (i: number, j: number) => dropoutFactor(dropout, seed, text_ids[b]!, attentionIndex(h, i, j, S));
    return { b, h, first, S, factor };
  });
}

/** Value d of a query (part 0), key (1) or value (2) of a head. */
export function reader({ C, H, qkv }: AttentionArguments, { first, h }: Head) {
  return (i: number, part: number, d: number) => qkv[((first + i) * 3 + part) * C + h * (C / H) + d]!;
}

/** Scaled scores of query i of a head with every key. */
export function scoresOf(a: AttentionArguments, head: Head, i: number, round: Round): number[] {
  const D = a.C / a.H;
  const scale = round(1 / Math.sqrt(D));
  const at = reader(a, head);
  return Array.from({ length: head.S }, (_, j) => {
    let sum = 0;
    for (let d = 0; d < D; d++) sum = round(sum + round(round(at(i, 0, d) * scale) * at(j, 1, d)));
    return sum;
  });
}

export function reference(a: AttentionArguments, round: Round): { out: number[]; log_sums: number[] } {
  const out = new Array<number>(a.T * a.C).fill(0);
  const log_sums = new Array<number>(a.T * a.H).fill(0);
  const D = a.C / a.H;
  for (const head of heads(a)) {
    const at = reader(a, head);
    for (let i = 0; i < head.S; i++) {
      const scores = scoresOf(a, head, i, round);
      const top = Math.max(...scores);
      const weights = scores.map((score) => round(Math.exp(round(score - top))));
      const total = weights.reduce((sum, weight) => round(sum + weight), 0);
      const t = head.first + i;
      log_sums[t * a.H + head.h] = round(top + round(Math.log(total)));
      const kept = weights.map((weight, j) => round(round(weight / total) * head.factor(i, j)));
      for (let d = 0; d < D; d++) {
        let sum = 0;
        for (const [j, weight] of kept.entries()) sum = round(sum + round(weight * at(j, 2, d)));
        out[t * a.C + head.h * D + d] = sum;
      }
    }
  }
  return { out, log_sums };
}
