import { combine } from './hash';

/** Largest size: what the halves of a Feistel network of 32 bits reach. */
export const MOST_EXAMPLES = 2 ** 32;

const ROUNDS = 8;

/**
 * A permutation of 0..size-1 that words decide, in no memory: the image of a number is computed when it is asked for.
 *
 * A Feistel network permutes the numbers of an even number of bits, and is walked until it comes back into the range, four
 * steps at most on average.
 *   Luby and Rackoff 1988, doi:10.1137/0217022; Black and Rogaway 2002, doi:10.1007/3-540-45760-7_9 (cycle walking)
 */
export class Permutation {
  readonly size: number;
  readonly #halfBits: number;
  readonly #keys: Uint32Array;

  constructor(size: number, words: readonly number[]) {
    this.size = size;
    this.#halfBits = Math.max(1, Math.ceil(Math.log2(size) / 2));
    const key = words.reduce((hash, word) => combine(hash, word), ROUNDS);
    this.#keys = Uint32Array.from({ length: ROUNDS }, (_, round) => combine(key, round));
  }

  /** The image of a number in 0..size-1. */
  at(number: number): number {
    let image = number;
    do image = this.#step(image);
    while (image >= this.size);
    return image;
  }

  #step(number: number): number {
    const half = 2 ** this.#halfBits;
    let left = Math.floor(number / half);
    let right = number % half;
    for (const key of this.#keys) {
      const mixed = left ^ (combine(key, right) & (half - 1));
      left = right;
      right = mixed;
    }
    return left * half + right;
  }
}
