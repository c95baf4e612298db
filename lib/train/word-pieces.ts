import { checkString } from '../check';
import { FlesError } from '../errors';

/** Terms that every vocabulary begins with. */
export const SPECIAL_TERMS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
/** Characters of an alphabet at most, the most frequent ones: as Hugging Face's trainer for BERT has it. */
const ALPHABET = 1000;
/** Words longer than this are [UNK] to BERT's tokenizer. */
const LONGEST_WORD = 100;

/**
 * Learns a WordPiece vocabulary: characters, then the pairs of neighbouring pieces that are most frequent, one joined after the
 * other, as byte-pair encoding does (Sennrich et al. 2016, arXiv:1508.07909) and Hugging Face's WordPieceTrainer. Ties go to the
 * pair that is first by its pieces, so that equal texts give equal vocabularies.
 *
 * @param size terms at most, special ones included; fewer where nothing is left to join
 * @throws FlesError `ERR_VOCABULARY_SIZE` when not even the characters fit, or there are none: a generator may have been read before
 */
export async function learnWordPieces(
  texts: Iterable<string> | AsyncIterable<string>,
  size: number,
): Promise<string[]> {
  const counts = await countWords(texts);
  const alphabet = new Set(mostFrequentCharacters(counts));
  if (alphabet.size === 0) {
    throw new FlesError('ERR_VOCABULARY_SIZE', 'the texts have 0 words, expected 1 or more to learn a vocabulary from');
  }
  const words = [...counts]
    .filter(([word]) => Array.from(word).every((character) => alphabet.has(character)))
    .map(([word, count]) => ({ count, pieces: split(word) }));
  const continuing = new Set(words.flatMap(({ pieces }) => pieces.slice(1)));
  const vocabulary = new Set([...SPECIAL_TERMS, ...alphabet, ...[...continuing].sort(compare)]);
  if (vocabulary.size > size) {
    throw new FlesError(
      'ERR_VOCABULARY_SIZE',
      `the characters of the texts alone are ${vocabulary.size} terms, expected at most ${size}; raise the size`,
    );
  }
  const merger = new Merger(words);
  while (vocabulary.size < size) {
    const joined = merger.joinBest();
    if (joined === undefined) break;
    vocabulary.add(joined);
  }
  return [...vocabulary];
}

/** How often each word occurs, as BERT's normaliser and splitting see it. */
async function countWords(texts: Iterable<string> | AsyncIterable<string>): Promise<Map<string, number>> {
  const raw = new Map<string, number>();
  let number = 0;
  for await (const text of texts) {
    for (const word of checkString(`texts[${number++}]`, text).split(/\s+/)) raw.set(word, (raw.get(word) ?? 0) + 1);
  }
  const { bertNormalizer, bertPreTokenizer } = await import('tokenizers');
  const normalizer = bertNormalizer();
  const splitter = bertPreTokenizer();
  const words = new Map<string, number>();
  for (const [text, count] of raw) {
    for (const [word] of splitter.preTokenizeString(normalizer.normalizeString(text))) {
      if (word.length <= LONGEST_WORD) words.set(word, (words.get(word) ?? 0) + count);
    }
  }
  return words;
}

/** The characters of a word; all but the first continue it. */
function split(word: string): string[] {
  return Array.from(word, (character, i) => (i === 0 ? character : `##${character}`));
}

function mostFrequentCharacters(words: Map<string, number>): string[] {
  const counts = new Map<string, number>();
  for (const [word, count] of words) {
    for (const character of word) counts.set(character, (counts.get(character) ?? 0) + count);
  }
  const kept = [...counts].sort((a, b) => b[1] - a[1] || compare(a[0], b[0])).slice(0, ALPHABET);
  return kept.map(([character]) => character).sort(compare);
}

interface Word {
  count: number;
  pieces: string[];
}

interface Pair {
  left: string;
  right: string;
  count: number;
}

/** Counts of neighbouring pieces over all words, kept up to date while pairs are joined. */
class Merger {
  readonly #counts = new Map<string, { left: string; right: string; count: number; words: Set<Word> }>();
  /** Counts as they once were; one that is no longer true is put right when it comes up. */
  readonly #heap = new Heap<Pair>((a, b) => b.count - a.count || compare(a.left, b.left) || compare(a.right, b.right));

  constructor(words: readonly Word[]) {
    for (const word of words) this.#add(word, 1);
    for (const { left, right, count } of this.#counts.values()) this.#heap.push({ left, right, count });
  }

  /** Joins the most frequent pair everywhere and returns the new piece; undefined when there is none left. */
  joinBest(): string | undefined {
    for (;;) {
      const best = this.#heap.pop();
      if (best === undefined) return undefined;
      const now = this.#counts.get(keyOf(best.left, best.right));
      if (now === undefined || now.count === 0) continue;
      if (now.count !== best.count) {
        this.#heap.push({ ...best, count: now.count });
        continue;
      }
      return this.#join(best.left, best.right, now.words);
    }
  }

  #join(left: string, right: string, words: Set<Word>): string {
    const joined = left + right.slice(2);
    const touched = new Set<string>();
    for (const word of [...words]) {
      this.#add(word, -1);
      const pieces: string[] = [];
      for (const piece of word.pieces) {
        if (pieces.at(-1) === left && piece === right) pieces[pieces.length - 1] = joined;
        else pieces.push(piece);
      }
      word.pieces = pieces;
      this.#add(word, 1, touched);
    }
    for (const key of touched) {
      const { left, right, count } = this.#counts.get(key)!;
      if (left === joined || right === joined) this.#heap.push({ left, right, count });
    }
    return joined;
  }

  /** Counts the pairs of a word in, or out. */
  #add(word: Word, sign: 1 | -1, touched?: Set<string>): void {
    for (let i = 0; i + 1 < word.pieces.length; i++) {
      const [left, right] = [word.pieces[i]!, word.pieces[i + 1]!];
      const key = keyOf(left, right);
      let pair = this.#counts.get(key);
      if (!pair) {
        pair = { left, right, count: 0, words: new Set() };
        this.#counts.set(key, pair);
      }
      pair.count += sign * word.count;
      if (sign > 0) pair.words.add(word);
      else pair.words.delete(word);
      touched?.add(key);
    }
  }
}

function keyOf(left: string, right: string): string {
  return `${left} ${right}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A binary heap; the item that `compare` puts first comes out first. */
class Heap<T> {
  readonly #items: T[] = [];

  constructor(private readonly compare: (a: T, b: T) => number) {}

  push(item: T): void {
    const items = this.#items;
    let at = items.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.compare(items[parent]!, item) <= 0) break;
      items[at] = items[parent]!;
      at = parent;
    }
    items[at] = item;
  }

  pop(): T | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && this.compare(items[child + 1]!, items[child]!) < 0) child++;
      if (this.compare(last, items[child]!) <= 0) break;
      items[at] = items[child]!;
      at = child;
    }
    items[at] = last;
    return first;
  }
}
