import { type OpCase, offsetsOf, type Round, randomFloats } from '../support/native-ops';
import { dropoutFactor, hiddenIndex } from '../support/philox';

export interface DropoutArguments {
  [name: string]: number | Float32Array | Int32Array | null;
  B: number;
  T: number;
  C: number;
  dropout: number;
  seed: number;
  in: Float32Array;
  residual: Float32Array | null;
  offsets: Int32Array;
  text_ids: Int32Array;
}

export function dropout(
  name: string,
  lengths: number[],
  C: number,
  { p = 0.1, seed = 5, withResidual = true } = {},
): OpCase<DropoutArguments> {
  const offsets = offsetsOf(lengths);
  const T = offsets[lengths.length]!;
  return {
    name,
    args: {
      B: lengths.length,
      T,
      C,
      dropout: p,
      seed,
      in: randomFloats(T * C, 21),
      residual: withResidual ? randomFloats(T * C, 22) : null,
      offsets,
      // Any 32 bits are an id.
      text_ids: Int32Array.from(lengths, (_, b) => (b % 2 === 0 ? b + 3 : -1 - b)),
    },
  };
}

export const cases: OpCase<DropoutArguments>[] = [
  dropout('one value', [1], 1),
  dropout('rows shorter than a block of draws', [4, 9], 3),
  dropout('texts whose rows begin within a block', [3, 0, 1, 12, 0, 7], 37),
  dropout('rows of whole blocks', [3, 5], 64, { p: 0.5 }),
  dropout('more values than are drawn at once', [5, 2], 2500),
  dropout('more rows than are handed out at once', [70, 61], 700),
  dropout('without a residual', [3, 0, 8], 24, { withResidual: false }),
  dropout('the largest seed and nearly everything dropped', [9], 40, { p: 0.9999, seed: 2 ** 31 - 1 }),
  dropout('so rarely that it is never', [9], 40, { p: 1e-6 }),
  dropout('nothing', [3, 0, 8], 24, { p: 0 }),
  dropout('only texts without tokens', [0, 0], 8),
  dropout('no text', [], 8),
];

export function reference(a: DropoutArguments, round: Round): number[] {
  const out: number[] = [];
  for (let b = 0; b < a.B; b++) {
    for (let t = a.offsets[b]!; t < a.offsets[b + 1]!; t++) {
      for (let c = 0; c < a.C; c++) {
        const factor = dropoutFactor(a.dropout, a.seed, a.text_ids[b]!, hiddenIndex(t - a.offsets[b]!, a.C, c));
        const at = t * a.C + c;
        out.push(round(round(a.in[at]! * factor) + (a.residual === null ? 0 : a.residual[at]!)));
      }
    }
  }
  return out;
}
