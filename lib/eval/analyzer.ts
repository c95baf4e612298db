import { stem } from './porter';
import { tokenize } from './standard-tokenizer';

/** Lucene's `EnglishAnalyzer.ENGLISH_STOP_WORDS_SET`. */
const STOP_WORDS = new Set(
  (
    'a an and are as at be but by for if in into is it no not of on or such that the their then there these they this ' +
    'to was will with'
  ).split(' '),
);

/**
 * The terms of a text as Anserini's default analyzer for English has them: Lucene's StandardTokenizer, possessive 's
 * dropped, lower case, 33 stop words dropped, Porter stemmer. In the order of the text, repeated as often as they come.
 */
export function analyze(text: string): string[] {
  const terms: string[] = [];
  for (const token of tokenize(text)) {
    const term = termOf(token);
    if (term !== '') terms.push(term);
  }
  return terms;
}

// Words repeat, so most are looked up; the limit bounds the memory that a corpus of unusual words can take.
const MAX_WORDS = 1 << 17;
const words = new Map<string, string>();

/** The term of a token, empty for a stop word. */
function termOf(token: string): string {
  let term = words.get(token);
  if (term === undefined) {
    if (words.size >= MAX_WORDS) words.clear();
    // V8 keeps a whole text alive for a slice of it; the joined copy has no parent.
    const copy = Array.from(token).join('');
    const word = lowerCase(copy.replace(/['\u2019\uff07][sS]$/, ''));
    term = STOP_WORDS.has(word) ? '' : stem(word);
    words.set(copy, term);
  }
  return term;
}

/** Lower case a code point at a time: a final sigma is not special, and İ is a plain i. */
function lowerCase(token: string): string {
  return token.replaceAll('\u0130', 'i').replaceAll('\u03a3', '\u03c3').toLowerCase();
}
