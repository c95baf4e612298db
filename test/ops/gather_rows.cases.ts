import { type OpCase, randomFloats } from '../support/native-ops';

export interface GatherRowsArguments {
  [name: string]: number | Float32Array | Int32Array;
  R: number;
  C: number;
  N: number;
  in: Float32Array;
  rows: Int32Array;
}

function gather(R: number, C: number, rows: number[]): OpCase<GatherRowsArguments> {
  return {
    name: `${rows.length} of ${R} rows of ${C}`,
    args: { R, C, N: rows.length, in: randomFloats(R * C, 111), rows: Int32Array.from(rows) },
  };
}

export const cases: OpCase<GatherRowsArguments>[] = [
  gather(1, 1, [0]),
  gather(7, 9, [6, 0, 3]),
  gather(5, 70, [4, 3, 2, 1, 0]),
  gather(3, 4, []),
];
