import { type OpCase, randomFloats } from '../support/native-ops';
import { cases as forward } from './gather_rows.cases';

export interface GatherRowsBackwardArguments {
  [name: string]: number | Float32Array | Int32Array;
  R: number;
  C: number;
  N: number;
  d_out: Float32Array;
  rows: Int32Array;
}

export const cases: OpCase<GatherRowsBackwardArguments>[] = forward.map(({ name, args: { R, C, N, rows } }) => ({
  name,
  args: { R, C, N, rows, d_out: randomFloats(N * C, 112) },
}));
