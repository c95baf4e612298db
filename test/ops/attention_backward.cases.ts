import { type OpCase, type Round, randomFloats } from '../support/native-ops';
import {
  type AttentionArguments,
  cases as forwardCases,
  reference as forwardReference,
  heads,
  reader,
  scoresOf,
} from './attention.cases';

export interface AttentionBackwardArguments extends AttentionArguments {
  out: Float32Array;
  log_sums: Float32Array;
  d_out: Float32Array;
}

const exact: Round = (x) => x;

/** Those of the forward pass, with what it computes rounded to float32. */
export const cases: OpCase<AttentionBackwardArguments>[] = forwardCases.map(({ name, args }) => {
  const { out, log_sums } = forwardReference(args, exact);
  return {
    name,
    args: {
      ...args,
      out: Float32Array.from(out),
      log_sums: Float32Array.from(log_sums),
      d_out: randomFloats(args.T * args.C, 77),
    },
  };
});

export function reference(a: AttentionBackwardArguments, round: Round): number[] {
  const gradient = new Array<number>(a.T * 3 * a.C).fill(0);
  const D = a.C / a.H;
  const scale = round(1 / Math.sqrt(D));
  for (const head of heads(a)) {
    const at = reader(a, head);
    const place = (i: number, part: number, d: number) => ((head.first + i) * 3 + part) * a.C + head.h * D + d;
    const add = (to: number, x: number, y: number) => {
      gradient[to] = round(gradient[to]! + round(x * y));
    };
    for (let i = 0; i < head.S; i++) {
      const t = head.first + i;
      const scores = scoresOf(a, head, i, round);
      const dOut = (d: number) => a.d_out[t * a.C + head.h * D + d]!;
      let product = 0;
      for (let d = 0; d < D; d++) product = round(product + round(dOut(d) * a.out[t * a.C + head.h * D + d]!));
      for (let j = 0; j < head.S; j++) {
        const probability = round(Math.exp(round(scores[j]! - a.log_sums[t * a.H + head.h]!)));
        const factor = head.factor(i, j);
        let dWeight = 0;
        for (let d = 0; d < D; d++) dWeight = round(dWeight + round(dOut(d) * at(j, 2, d)));
        const dScore = round(probability * round(round(dWeight * factor) - product));
        for (let d = 0; d < D; d++) {
          add(place(j, 2, d), round(probability * factor), dOut(d));
          add(place(i, 0, d), dScore, round(at(j, 1, d) * scale));
          add(place(j, 1, d), dScore, round(at(i, 0, d) * scale));
        }
      }
    }
  }
  return gradient;
}
