import { type OpCase, products, type Round, randomFloats } from '../support/native-ops';

export interface ScoresArguments {
  [name: string]: number | Float32Array;
  Q: number;
  D: number;
  V: number;
  queries: Float32Array;
  documents: Float32Array;
}

/** Weights, most of them 0, as sparse vectors have them; one query has none. */
function scores(Q: number, D: number, V: number): OpCase<ScoresArguments> {
  const sparse = (rows: number, seed: number) =>
    randomFloats(rows * V, seed).map((value, i) => (value > 0.5 && Math.floor(i / V) !== 2 ? value : 0));
  return {
    name: `${Q} queries, ${D} documents, ${V} terms`,
    args: { Q, D, V, queries: sparse(Q, 71), documents: sparse(D, 72) },
  };
}

export const cases: OpCase<ScoresArguments>[] = [
  scores(1, 1, 1),
  scores(3, 7, 70),
  scores(4, 9, 1100),
  scores(5, 2, 33),
  scores(0, 3, 4),
  scores(3, 0, 4),
  scores(2, 2, 0),
];

export function reference({ Q, D, V, queries, documents }: ScoresArguments, round: Round) {
  const squares = (rows: Float32Array, count: number) =>
    Array.from({ length: count }, (_, i) => {
      const row = rows.subarray(i * V, (i + 1) * V);
      return products(row, row, [1, 1, V], round)[0]!;
    });
  return {
    scores: products(queries, documents, [Q, D, V], round),
    query_squares: squares(queries, Q),
    document_squares: squares(documents, D),
  };
}
