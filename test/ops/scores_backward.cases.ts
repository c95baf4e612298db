import { type OpCase, type Round, randomFloats } from '../support/native-ops';
import { cases as forward, type ScoresArguments } from './scores.cases';

export interface ScoresBackwardArguments extends ScoresArguments {
  d_scores: Float32Array;
  d_query_squares: Float32Array;
  d_document_squares: Float32Array;
}

export const cases: OpCase<ScoresBackwardArguments>[] = forward.map(({ name, args }) => ({
  name,
  args: {
    ...args,
    d_scores: randomFloats(args.Q * args.D, 73).map((value, i) => (i % 5 === 3 ? 0 : value)),
    d_query_squares: randomFloats(args.Q, 74),
    d_document_squares: randomFloats(args.D, 75),
  },
}));

export function reference(a: ScoresBackwardArguments, round: Round) {
  const { Q, D, V } = a;
  const gradient = (
    [rows, others]: [number, number],
    own: Float32Array,
    other: Float32Array,
    square: Float32Array,
    score: (row: number, other: number) => number,
  ) =>
    Array.from({ length: rows * V }, (_, at) => {
      const row = Math.floor(at / V);
      let sum = round(2 * square[row]! * own[at]!);
      for (let i = 0; i < others; i++) sum = round(sum + round(score(row, i) * other[i * V + (at % V)]!));
      return sum;
    });
  return {
    d_queries: gradient([Q, D], a.queries, a.documents, a.d_query_squares, (q, d) => a.d_scores[q * D + d]!),
    d_documents: gradient([D, Q], a.documents, a.queries, a.d_document_squares, (d, q) => a.d_scores[q * D + d]!),
  };
}
