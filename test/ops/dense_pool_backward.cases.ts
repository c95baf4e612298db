import { type OpCase, randomFloats } from '../support/native-ops';
import { cases as forward } from './dense_pool.cases';

export interface DensePoolBackwardArguments {
  [name: string]: number | string | Float32Array | Int32Array;
  B: number;
  T: number;
  C: number;
  pooling: 'mean' | 'cls';
  d_out: Float32Array;
  offsets: Int32Array;
}

export const cases: OpCase<DensePoolBackwardArguments>[] = forward
  .filter(({ args }) => args.normalize === 0)
  .map(({ name, args: { B, T, C, pooling, offsets } }) => ({
    name,
    args: { B, T, C, pooling, offsets, d_out: randomFloats(B * C, 62) },
  }));
