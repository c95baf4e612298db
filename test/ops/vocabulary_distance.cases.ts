import { type OpCase, offsetsOf, type Round, randomFloats } from '../support/native-ops';

export interface VocabularyDistanceArguments {
  [name: string]: number | string | Float32Array | Int32Array;
  B: number;
  V: number;
  N: number;
  kind: 'squared' | 'cosine';
  scale: number;
  weights: Float32Array;
  offsets: Int32Array;
  terms: Int32Array;
  values: Float32Array;
}

/** `counts[b]`: terms that the teacher has in row b, spread over the vocabulary. */
function distance(name: string, kind: 'squared' | 'cosine', V: number, counts: number[], emptyRow = -1) {
  const B = counts.length;
  const offsets = offsetsOf(counts);
  const terms = counts.flatMap((count) => Array.from({ length: count }, (_, i) => Math.floor((i * V) / count)));
  const args: VocabularyDistanceArguments = {
    B,
    V,
    N: terms.length,
    kind,
    scale: 0.25,
    weights: randomFloats(B * V, 101).map((value, i) => (Math.floor(i / V) === emptyRow ? 0 : Math.max(value, 0))),
    offsets,
    terms: Int32Array.from(terms),
    values: randomFloats(terms.length, 102).map(Math.abs),
  };
  return { name: `${name} (${kind})`, args };
}

export const cases: OpCase<VocabularyDistanceArguments>[] = (['squared', 'cosine'] as const).flatMap((kind) => [
  distance('one term', kind, 1, [1]),
  distance('several rows', kind, 70, [5, 20, 1]),
  distance('a teacher without terms, and a row without weights', kind, 40, [4, 0, 7], 2),
  distance('many terms', kind, 1100, [300, 2]),
  distance('no row', kind, 5, []),
]);

export function reference(a: VocabularyDistanceArguments, round: Round) {
  const { B, V } = a;
  const gradients: number[] = [];
  let value = 0;
  for (let b = 0; b < B; b++) {
    const w = a.weights.subarray(b * V, (b + 1) * V);
    const t = new Float32Array(V);
    for (let i = a.offsets[b]!; i < a.offsets[b + 1]!; i++) t[a.terms[i]!] = a.values[i]!;
    // Sums are in double in every implementation.
    const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, value, v) => sum + value * y[v]!, 0);
    if (a.kind === 'squared') {
      for (let v = 0; v < V; v++) {
        const difference = round(w[v]! - t[v]!);
        value += difference ** 2 / (B * V);
        gradients.push(round((2 * a.scale * difference) / (B * V)));
      }
      continue;
    }
    const norms = Math.sqrt(dot(w, w) * dot(t, t));
    if (norms === 0) {
      value += 1 / B;
      for (let v = 0; v < V; v++) gradients.push(0);
      continue;
    }
    const cosine = dot(w, t) / norms;
    value += (1 - cosine) / B;
    for (let v = 0; v < V; v++) {
      const along = round(round((a.scale / B) * (cosine / dot(w, w))) * w[v]!);
      gradients.push(round(along - round(((a.scale / B) * t[v]!) / norms)));
    }
  }
  return { value: [round(value)], d_weights: gradients };
}
