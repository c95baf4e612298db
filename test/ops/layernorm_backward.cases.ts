import { type OpCase, type Round, randomFloats } from '../support/native-ops';
import { cases as forward, type LayernormArguments } from './layernorm.cases';

export interface LayernormBackwardArguments {
  [name: string]: number | Float32Array;
  T: number;
  C: number;
  eps: number;
  d_out: Float32Array;
  in: Float32Array;
  gamma: Float32Array;
}

const backward = ({ T, C, eps, in: input, gamma }: LayernormArguments): LayernormBackwardArguments => ({
  ...{ T, C, eps, in: input, gamma },
  d_out: randomFloats(T * C, 7),
});

function large(name: string, T: number, C: number): OpCase<LayernormBackwardArguments> {
  const [input, gamma, d_out] = [randomFloats(T * C, 8), randomFloats(C, 9), randomFloats(T * C, 10)];
  return { name, args: { T, C, eps: 1e-12, in: input, gamma, d_out } };
}

export const cases: OpCase<LayernormBackwardArguments>[] = [
  ...forward.map(({ name, args }) => ({ name, args: backward(args) })),
  large('rows that fill several parts and a rest', 150, 21),
  large('columns that are summed by several threads', 70, 300),
];

/** `before` is what d_gamma and d_beta held. */
export function reference(a: LayernormBackwardArguments, before: number, round: Round) {
  const { T, C } = a;
  const eps = Math.fround(a.eps);
  const d_in: number[] = [];
  const d_gamma: number[] = Array(C).fill(0);
  const d_beta: number[] = Array(C).fill(0);
  const sum = (values: number[]) => values.reduce((total, value) => round(total + value), 0);
  for (let t = 0; t < T; t++) {
    const row = [...a.in.subarray(t * C, (t + 1) * C)];
    const d = [...a.d_out.subarray(t * C, (t + 1) * C)];
    const mean = round(sum(row) / C);
    const centred = row.map((value) => round(value - mean));
    const variance = round(sum(centred.map((value) => round(value * value))) / C);
    const scale = round(1 / round(Math.sqrt(round(variance + eps))));
    const x = centred.map((value) => round(value * scale));
    const g = d.map((value, c) => round(value * a.gamma[c]!));
    const meanG = round(sum(g) / C);
    const meanGx = round(sum(g.map((value, c) => round(value * x[c]!))) / C);
    for (let c = 0; c < C; c++) {
      d_in.push(round(round(round(g[c]! - meanG) - round(x[c]! * meanGx)) * scale));
      d_gamma[c] = round(d_gamma[c]! + round(d[c]! * x[c]!));
      d_beta[c] = round(d_beta[c]! + d[c]!);
    }
  }
  return { d_in, d_gamma: d_gamma.map((value) => round(before + value)), d_beta: d_beta.map((v) => round(before + v)) };
}
