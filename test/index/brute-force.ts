import type { Hit } from '../../lib/index/inverted-index';

export type Weights = Record<string, number>;

/** Hits by the definition: float32 products added in the order of the terms' strings, every document looked at. */
export function bruteForce(documents: readonly { id: string; vector: Weights }[], query: Weights, k: number): Hit[] {
  const terms = Object.keys(query).sort((a, b) => (a < b ? -1 : 1));
  const hits: Hit[] = [];
  for (const [document, { id, vector }] of documents.entries()) {
    let score = 0;
    for (const term of terms) {
      const weight = Object.hasOwn(vector, term) ? vector[term]! : 0;
      score = Math.fround(score + Math.fround(Math.fround(query[term]!) * Math.fround(weight)));
    }
    if (score > 0) hits.push({ id, document, score });
  }
  return hits.sort((a, b) => b.score - a.score || a.document - b.document).slice(0, k);
}

/** mulberry32: numbers in [0, 1) that are the same everywhere. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}
