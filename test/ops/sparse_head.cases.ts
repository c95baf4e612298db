import { asMultiplied, type DataType } from '../support/data-types';
import { type OpCase, offsetsOf, products, type Round, randomFloats } from '../support/native-ops';

type HeadPooling = 'max' | 'sum' | 'sum_log1p';

export interface SparseHeadArguments {
  [name: string]: number | string | Float32Array | Int32Array;
  B: number;
  T: number;
  C: number;
  V: number;
  pooling: HeadPooling;
  in: Float32Array;
  weight: Float32Array;
  bias: Float32Array;
  offsets: Int32Array;
}

function head(name: string, pooling: HeadPooling, lengths: number[], V: number, C: number, repeat = false) {
  const offsets = offsetsOf(lengths);
  const T = offsets[lengths.length]!;
  const input = randomFloats(T * C, 41);
  // Rows that repeat: every maximum is a tie.
  if (repeat) for (let i = 2 * C; i < T * C; i++) input[i] = input[i % (2 * C)]!;
  const [weight, bias] = [randomFloats(V * C, 42), randomFloats(V, 43)];
  return { name, args: { B: lengths.length, T, C, V, pooling, in: input, weight, bias, offsets } };
}

export const cases: OpCase<SparseHeadArguments>[] = (['max', 'sum', 'sum_log1p'] as const).flatMap((pooling) => [
  // More terms than one thread takes at a time, on every level.
  head(`many terms (${pooling})`, pooling, [3, 0, 9], 1100, 6),
  head(`one token (${pooling})`, pooling, [1], 1, 1),
  head(`texts of several lengths, some empty (${pooling})`, pooling, [3, 0, 1, 20, 0], 70, 9),
  head(`a vocabulary that fills its panels (${pooling})`, pooling, [4, 5], 256, 16),
  head(`rows that repeat (${pooling})`, pooling, [7, 6], 37, 4, true),
  // More rows than a block takes, and than the memory of the outputs.
  head(`long texts and few terms (${pooling})`, pooling, [300, 0, 250, 300, 9], 3, 5),
  head(`only texts without tokens (${pooling})`, pooling, [0, 0], 5, 3),
  head(`no text (${pooling})`, pooling, [], 5, 3),
  // The widths of BERT, and one that fills no chunk: many chunks, of which one is loaded while another is multiplied.
  ...(pooling === 'max' ? [768, 1000, 1024] : [1000]).map((C) =>
    head(`${C} columns (${pooling})`, pooling, [3, 0, 1, 9], C === 768 ? 150 : 70, C),
  ),
]);

/** The logits of every row, (T, V). */
export function logits(a: SparseHeadArguments, dtype: DataType, round: Round): number[] {
  const [input, weight] = [asMultiplied(dtype, a.in, a.C), asMultiplied(dtype, a.weight, a.C)];
  return products(input, weight, [a.T, a.V, a.C], round).map((sum, i) => round(sum + a.bias[i % a.V]!));
}

export function reference(a: SparseHeadArguments, dtype: DataType, round: Round): number[] {
  const z = logits(a, dtype, round);
  const pooled: number[] = [];
  for (let b = 0; b < a.B; b++) {
    for (let v = 0; v < a.V; v++) {
      let value = a.pooling === 'max' ? Number.NEGATIVE_INFINITY : 0;
      for (let t = a.offsets[b]!; t < a.offsets[b + 1]!; t++) {
        const x = z[t * a.V + v]!;
        const weight = round(Math.log1p(Math.max(0, x)));
        const added = a.pooling === 'sum_log1p' ? round(Math.log1p(weight)) : weight;
        value = a.pooling === 'max' ? Math.max(value, x) : round(value + added);
      }
      pooled.push(value);
    }
  }
  return pooled;
}
