import type { NativeTrainer } from '../native';
import type { Tokenizer } from '../text/tokenizer';
import type { DocumentPool } from './data';
import { Permutation } from './data/permutation';

/** Documents whose terms are counted. */
const SAMPLE = 64;

/**
 * Lowers the bias of all terms by one number, so that documents have `terms` on the mean; a model that has no more is left as it
 * is. Returns what was done, in a sentence.
 *
 * A softmax does not see a number that is added to all logits, so masked-language-model training leaves it to chance; relu does
 * see it, and a head that has not met a sparse objective may call half of the vocabulary terms of a document. To train them away
 * one by one costs thousands of steps, and lambda grows out of proportion meanwhile.
 */
export async function lowerToTerms(
  trainer: NativeTrainer,
  pool: DocumentPool,
  tokenizer: Pick<Tokenizer, 'encodeBatch'>,
  options: { terms: number; maxLength: number; seed: number; signal?: AbortSignal },
): Promise<string> {
  const { terms, maxLength, seed, signal } = options;
  const order = new Permutation(pool.size, [seed]);
  const numbers = Array.from({ length: Math.min(SAMPLE, pool.size) }, (_, i) => order.at(i));
  const texts = (await pool.documents(numbers)).map(({ text }) => text);
  const batch = await tokenizer.encodeBatch(texts, { maxLength, signal });
  const logits = (await trainer.encode(batch, Int32Array.from(numbers.keys()))).sort();
  const before = logits.reduce((count, logit) => count + Number(logit > 0), 0) / numbers.length;
  const kept = Math.min(logits.length, Math.round(terms * numbers.length));
  const by = kept < logits.length ? logits[logits.length - kept - 1]! : 0;
  if (by <= 0) return `documents have ${before.toFixed(0)} terms, no more than network.startTerms, ${terms}`;
  await trainer.lowerBias(by);
  return `documents had ${before.toFixed(0)} terms; the bias of all terms was lowered by ${by.toPrecision(4)} for network.startTerms, ${terms}`;
}
