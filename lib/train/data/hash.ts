// 32-bit hashes: MurmurHash3 (Appleby 2008, public domain) over the units of a text and over words.

/** Spreads the bits of a word: every bit of the result depends on every bit of `h`. A bijection. */
export function spread(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Hash of a hash and a word more. */
export function combine(h: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  h ^= k;
  return spread(Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64);
}

/** Hash of a text. */
export function hashText(text: string): number {
  // FNV-1a a unit, which costs one multiplication, and one spread at the end.
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return spread(h ^ text.length);
}

/** A second hash of a text, by another formula (the step of MurmurHash2): together with `hashText` 64 bits. */
export function hashTextAgain(text: string): number {
  let h = 0x1b873593;
  for (let i = 0; i < text.length; i++) {
    h = Math.imul(h ^ text.charCodeAt(i), 0x5bd1e995);
    h ^= h >>> 15;
  }
  return spread(h);
}

/** A number in [0, 1) that words decide, of 53 bits. */
export function uniform(words: readonly number[]): number {
  let high = 0x9747b28c;
  let low = 0x3c6ef372;
  for (const word of words) {
    high = combine(high, word);
    low = combine(low, word);
  }
  return (high * 2 ** 21 + (low >>> 11)) / 2 ** 53;
}
