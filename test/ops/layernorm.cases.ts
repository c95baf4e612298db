import { layernormRow, type OpCase, type Round, randomFloats } from '../support/native-ops';

export interface LayernormArguments {
  [name: string]: number | Float32Array;
  T: number;
  C: number;
  eps: number;
  in: Float32Array;
  gamma: Float32Array;
  beta: Float32Array;
}

function layernorm(name: string, T: number, C: number, change: (x: number, i: number) => number = (x) => x) {
  const input = randomFloats(T * C, 100 * T + C).map(change);
  const [gamma, beta] = [randomFloats(C, 1), randomFloats(C, 2)];
  return { name, args: { T, C, eps: 1e-5, in: input, gamma, beta } };
}

export const cases: OpCase<LayernormArguments>[] = [
  layernorm('one value', 1, 1),
  layernorm('rows shorter than a vector', 5, 3),
  layernorm('rows of exactly one vector', 2, 8),
  layernorm('rows of vectors and a rest', 7, 37),
  layernorm('rows as wide as bert-base', 3, 768),
  layernorm('rows that are the same everywhere, whose variance is 0', 3, 21, () => 4.25),
  layernorm('rows with a mean far from 0', 4, 50, (x) => 1000 + x),
  layernorm('rows of tiny values, where eps matters', 4, 33, (x) => x / 1000),
  layernorm('no rows', 0, 5),
];

export function reference({ T, C, eps, in: input, gamma, beta }: LayernormArguments, round: Round): number[] {
  return Array.from({ length: T }, (_, t) =>
    layernormRow(input.subarray(t * C, (t + 1) * C), gamma, beta, Math.fround(eps), round),
  ).flat();
}
