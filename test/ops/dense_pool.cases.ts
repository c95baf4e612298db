import { type OpCase, offsetsOf, type Round, randomFloats } from '../support/native-ops';

export interface DensePoolArguments {
  [name: string]: number | string | Float32Array | Int32Array;
  B: number;
  T: number;
  C: number;
  normalize: 0 | 1;
  pooling: 'mean' | 'cls';
  in: Float32Array;
  offsets: Int32Array;
}

function pool(name: string, pooling: 'mean' | 'cls', normalize: 0 | 1, lengths: number[], C: number, scale = 1) {
  const offsets = offsetsOf(lengths);
  const T = offsets[lengths.length]!;
  const input = randomFloats(T * C, 61).map((x) => x * scale);
  const how = `${pooling}${normalize ? ', normalised' : ''}`;
  return { name: `${name} (${how})`, args: { B: lengths.length, T, C, normalize, pooling, in: input, offsets } };
}

export const cases: OpCase<DensePoolArguments>[] = (['mean', 'cls'] as const).flatMap((pooling) =>
  ([0, 1] as const).flatMap((normalize) => [
    pool('one token', pooling, normalize, [1], 3),
    pool('texts of several lengths, some empty', pooling, normalize, [4, 0, 1, 31, 0], 19),
    pool('values near the largest float', pooling, normalize, [1, 1], 5, 1e38),
    pool('zeros', pooling, normalize, [3, 1], 4, 0),
    pool('only texts without tokens', pooling, normalize, [0, 0], 4),
    pool('no text', pooling, normalize, [], 4),
  ]),
);

export function reference(a: DensePoolArguments, round: Round): number[] {
  const out: number[] = [];
  for (let b = 0; b < a.B; b++) {
    const first = a.offsets[b]!;
    const length = a.offsets[b + 1]! - first;
    const rows = a.pooling === 'cls' ? Math.min(1, length) : length;
    const vector = Array.from({ length: a.C }, (_, c) => {
      let sum = 0;
      for (let t = first; t < first + rows; t++) sum = round(sum + a.in[t * a.C + c]!);
      return rows === 0 ? 0 : round(sum / rows);
    });
    // The squares of large float32 values have no float32; even plain code adds them in float64.
    const norm = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
    out.push(...(a.normalize === 1 && norm > 0 ? vector.map((x) => round(x / norm)) : vector));
  }
  return out;
}
