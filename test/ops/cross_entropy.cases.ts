import { type OpCase, type Round, randomFloats } from '../support/native-ops';

export interface CrossEntropyArguments {
  [name: string]: number | Float32Array | Int32Array;
  M: number;
  V: number;
  scale: number;
  logits: Float32Array;
  labels: Int32Array;
}

function entropy(name: string, M: number, V: number, size = 1): OpCase<CrossEntropyArguments> {
  const logits = randomFloats(M * V, 121).map((value) => value * size);
  return {
    name,
    args: { M, V, scale: 0.25, logits, labels: Int32Array.from({ length: M }, (_, m) => (m * 13) % V) },
  };
}

export const cases: OpCase<CrossEntropyArguments>[] = [
  entropy('one term', 2, 1),
  entropy('some terms', 5, 37),
  entropy('more terms than are summed at once', 3, 2500),
  entropy('logits far apart', 4, 70, 40),
  entropy('no row', 0, 5),
];

export function reference({ M, V, scale, logits, labels }: CrossEntropyArguments, round: Round) {
  const losses: number[] = [];
  const correct: number[] = [];
  const gradients: number[] = [];
  for (let m = 0; m < M; m++) {
    const row = [...logits.subarray(m * V, (m + 1) * V)];
    const top = Math.max(...row);
    const powers = row.map((x) => round(Math.exp(round(x - top))));
    const sum = powers.reduce((total, power) => total + power, 0);
    const label = labels[m]!;
    losses.push(round(round(Math.log(sum)) + round(top - row[label]!)));
    correct.push(+(row.indexOf(top) === label));
    for (let v = 0; v < V; v++) gradients.push(round(round((powers[v]! * scale) / sum) - (v === label ? scale : 0)));
  }
  return { losses, correct, gradients };
}
