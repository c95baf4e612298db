import { SparseMatrix } from '../sparse-matrix';
import { SparseVector } from '../sparse-vector';
import type { TokenBatch } from '../text/tokenizer';
import type { ResolvedOptions } from './options';

/**
 * Query vectors without the network: every distinct word piece of the text with a weight of its own, 1 in a bag of words
 * (SPLADE-Doc; Formal et al. 2021, arXiv:2109.10086) or the table's (inference-free; Geng et al. 2024, arXiv:2411.04403).
 *
 * @param pieces word pieces without [CLS] and [SEP]
 * @param weightOf weight of a term; terms with a weight at or below the threshold are left out
 */
export function queryRows(
  pieces: TokenBatch,
  weightOf: (term: number) => number,
  options: Pick<ResolvedOptions, 'threshold' | 'topK'>,
  dropped: ReadonlySet<number>,
  vocabulary: readonly string[],
): SparseMatrix {
  const threshold = Math.fround(options.threshold);
  const vectors: SparseVector[] = [];
  for (let i = 0; i + 1 < pieces.offsets.length; i++) {
    const distinct = new Set(pieces.tokens.subarray(pieces.offsets[i], pieces.offsets[i + 1]));
    let kept = [...distinct]
      .filter((term) => !dropped.has(term))
      .map((term) => ({ term, weight: Math.fround(weightOf(term)) }))
      .filter(({ weight }) => weight > threshold);
    if (options.topK > 0) {
      kept = kept.sort((a, b) => b.weight - a.weight || a.term - b.term).slice(0, options.topK);
    }
    kept.sort((a, b) => a.term - b.term);
    const terms = Uint32Array.from(kept, ({ term }) => term);
    vectors.push(
      new SparseVector(
        terms,
        Float32Array.from(kept, ({ weight }) => weight),
        vocabulary,
      ),
    );
  }
  return SparseMatrix.fromVectors(vectors, vocabulary);
}
