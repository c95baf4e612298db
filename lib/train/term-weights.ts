import type { Tokenizer } from '../text/tokenizer';
import type { DocumentPool } from './data';
import { Permutation } from './data/permutation';

/** Documents that IDF is counted over: more change its digits hardly at all. */
const IDF_SAMPLE = 100_000;
const DOCUMENTS_AT_ONCE = 256;

/**
 * (V) the IDF of each term, `ln(1 + (N - n + 0.5) / (n + 0.5))` with n of N documents that have it among their tokens, for IDF-aware
 * FLOPS (Geng et al. 2024, arXiv:2411.04403). Of a large pool a sample is read.
 */
export async function idfWeights(
  pool: DocumentPool,
  tokenizer: Pick<Tokenizer, 'encodeBatch'>,
  vocabularySize: number,
  options: { maxLength: number; seed: number; signal?: AbortSignal },
): Promise<Float32Array> {
  const { maxLength, seed, signal } = options;
  const total = Math.min(pool.size, IDF_SAMPLE);
  const order = new Permutation(pool.size, [seed]);
  const counts = new Uint32Array(vocabularySize);
  for (let done = 0; done < total; done += DOCUMENTS_AT_ONCE) {
    const numbers = Array.from({ length: Math.min(DOCUMENTS_AT_ONCE, total - done) }, (_, i) => order.at(done + i));
    const texts = (await pool.documents(numbers)).map(({ text }) => text);
    const { tokens, offsets } = await tokenizer.encodeBatch(texts, { maxLength, signal });
    for (let i = 0; i < texts.length; i++) {
      for (const term of new Set(tokens.subarray(offsets[i], offsets[i + 1]))) counts[term]!++;
    }
  }
  return Float32Array.from(counts, (n) => Math.log(1 + (total - n + 0.5) / (n + 0.5)));
}

/** What DF-FLOPS remembers: the documents seen, older ones counting less. JSON. */
export interface DfState {
  documents: number;
  counts: number[];
}

/** Share of what was seen that counts after one step more: half of it after 69 steps. */
const DF_DECAY = 0.99;
/** Share of documents at which a term weighs half, and how steeply (Porco et al. 2025). */
const DF_HALF = 0.1;
const DF_STEEPNESS = 10;

export function addDocuments(state: DfState, documents: number, frequencies: ArrayLike<number>): DfState {
  return {
    documents: state.documents * DF_DECAY + documents,
    counts: Array.from(frequencies, (count, term) => (state.counts[term] ?? 0) * DF_DECAY + count),
  };
}

/**
 * (V) the weight of each term in DF-FLOPS, a generalised logistic of its share x of documents:
 * `1 / (1 + (x^(log 2 / log a) - 1)^b)`, 0 for a term in none, 1/2 at x = a, 1 for a term in all (Porco et al. 2025, "An
 * Alternative to FLOPS Regularization to Effectively Productionize SPLADE-Doc").
 */
export function dfWeights({ documents, counts }: DfState): Float32Array {
  const exponent = Math.log(2) / Math.log(DF_HALF);
  return Float32Array.from(counts, (count) => {
    const share = Math.min(1, count / documents);
    return share === 0 ? 0 : 1 / (1 + (share ** exponent - 1) ** DF_STEEPNESS);
  });
}
