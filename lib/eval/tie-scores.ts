import type { ScoredDocument } from './ranking';

/**
 * Scores as Anserini writes them into a run, so that any order of ties that an evaluation applies keeps the order of the
 * search: rounded to 4 decimals, and each further member of a tie lowered by 1e-6, in float32. Documents come best first.
 */
export function separateTies(documents: readonly ScoredDocument[]): ScoredDocument[] {
  const scale = Math.fround(1e4);
  const step = Math.fround(1e-6);
  const apart = Math.fround(1e-4);
  const separated: ScoredDocument[] = [];
  let tied = 0;
  let previous = Number.POSITIVE_INFINITY;
  for (const { document, score } of documents) {
    const rounded = Math.fround(Math.round(Math.fround(Math.fround(score) * scale)) / scale);
    tied = Math.fround(previous - rounded) > apart ? 0 : tied + 1;
    previous = tied === 0 ? rounded : Math.fround(rounded - Math.fround(step * tied));
    separated.push({ document, score: previous });
  }
  return separated;
}
