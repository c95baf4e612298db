import { type OpCase, randomFloats } from '../support/native-ops';

export interface SquareSumArguments {
  [name: string]: number | Float32Array;
  count: number;
  in: Float32Array;
}

const squareSum = (name: string, count: number, change = (x: number) => x): OpCase<SquareSumArguments> => ({
  name,
  args: { count, in: randomFloats(count, count + 1).map(change) },
});

export const cases: OpCase<SquareSumArguments>[] = [
  squareSum('one value', 1),
  squareSum('fewer values than a vector', 3),
  squareSum('vectors and a rest', 77),
  squareSum('several parts and a rest', 100_003),
  squareSum('values whose squares are no normal float32 until they are summed', 5000, (x) => x * 1e-20),
  squareSum('no values', 0),
];

export const reference = (a: SquareSumArguments): number => a.in.reduce((sum, x) => sum + x * x, 0);
