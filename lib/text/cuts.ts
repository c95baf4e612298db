import { isObject } from '../model/json';
import type { Vocabulary } from './vocabulary';

/** Where a text may be cut without changing its pieces, by the code unit there. */
export interface Cuts {
  /** White space, which belongs to no word. */
  at(code: number): boolean;
  /** A character before which a word ends in any case. */
  before(code: number): boolean;
}

/**
 * A tokenizer that is BERT's own takes words apart at white space and before punctuation whatever stands around them: its
 * normaliser looks at single characters (and at the accents behind them). No added token may hold the character.
 */
export function cutsOf({ normalizer, pre_tokenizer: split, added_tokens }: Vocabulary['definition']): Cuts {
  const steps = isObject(normalizer) && Array.isArray(normalizer.normalizers) ? normalizer.normalizers : [normalizer];
  const tokens = (added_tokens ?? []) as { content: string; single_word?: boolean }[];
  const added = tokens.map(({ content }) => content);
  if (
    !steps.every((step) => isObject(step) && (step.type === 'BertNormalizer' || step.type === 'Lowercase')) ||
    !isObject(split) ||
    split.type !== 'BertPreTokenizer' ||
    added.some((content) => /\s/.test(content))
  ) {
    return { at: () => false, before: () => false };
  }
  // The first character of an added token is fine, the whole of it comes behind the cut, unless what stands before it matters.
  const within = new Set(
    tokens.flatMap(({ content, single_word: alone }) =>
      [...content.slice(alone ? 0 : 1)].map((character) => character.charCodeAt(0)),
    ),
  );
  const spaced =
    steps.some((step) => step.handle_chinese_chars === true) && added.every((content) => !isHan.test(content));
  return {
    at: isSpace,
    before: (code) => (isPunctuation(code) && !within.has(code)) || (spaced && code >= 0x4e00 && code <= 0x9fff),
  };
}

const isHan = /[\u4e00-\u9fff]/;

/** Of ASCII. */
function isPunctuation(code: number): boolean {
  return (
    (code >= 33 && code <= 47) ||
    (code >= 58 && code <= 64) ||
    (code >= 91 && code <= 96) ||
    (code >= 123 && code <= 126)
  );
}

/** The white space that BERT splits at and JavaScript and Rust agree on; vertical tab and form feed are removed, not split at. */
function isSpace(code: number): boolean {
  return code === 32 || code === 9 || code === 10 || code === 13;
}
