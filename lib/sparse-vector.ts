import { type InspectOptions, inspect } from 'node:util';
import { checkObject } from './check';

/** A term that two sparse vectors share, with the product of its weights. */
export interface SharedTerm {
  term: string;
  /** Weight in the vector that `explain` was called on. */
  weight: number;
  /** Weight in the other vector. */
  otherWeight: number;
  product: number;
}

/**
 * A sparse vector over a vocabulary: term ids ascending, each with a weight > 0.
 *
 * `terms[i]` is an index into `vocabulary`, `weights[i]` its weight (float32).
 */
export class SparseVector {
  readonly terms: Uint32Array;
  readonly weights: Float32Array;
  // Private, so that neither JSON, the console nor a message to another thread has thirty thousand strings for a vector.
  readonly #vocabulary: readonly string[];

  constructor(terms: Uint32Array, weights: Float32Array, vocabulary: readonly string[]) {
    this.terms = terms;
    this.weights = weights;
    this.#vocabulary = vocabulary;
  }

  /** The strings that term ids stand for; shared by all vectors of one encoder. */
  get vocabulary(): readonly string[] {
    return this.#vocabulary;
  }

  /** Number of non-zero terms. */
  get nnz(): number {
    return this.terms.length;
  }

  /** `{term: weight}`, heaviest first; equal weights keep the order of term ids. */
  toObject(): Record<string, number> {
    const order = Array.from(this.terms.keys()).sort((a, b) => this.weights[b]! - this.weights[a]!);
    // Object.fromEntries would move integer-like terms ("2019") to the front, so such keys lose their place by weight
    // in any plain object; use `entries()` where the order matters.
    return Object.fromEntries(order.map((i) => [this.term(i), this.weights[i]!]));
  }

  /** `[term, weight]` pairs, heaviest first; equal weights keep the order of term ids. */
  entries(): [string, number][] {
    const order = Array.from(this.terms.keys()).sort((a, b) => this.weights[b]! - this.weights[a]!);
    return order.map((i) => [this.term(i), this.weights[i]!]);
  }

  /** What `JSON.stringify` makes of it: `toObject()`. */
  toJSON(): Record<string, number> {
    return this.toObject();
  }

  /** What `console.log` shows: the terms by weight, as many as of a map. */
  [inspect.custom](depth: number, options: InspectOptions): string {
    if (depth < 0) return '[SparseVector]';
    return inspect(new Map(this.entries()), options).replace('Map', 'SparseVector');
  }

  /** Inner product, accumulated in float64. Vectors over different vocabularies meet in the terms that both know. */
  dot(other: SparseVector): number {
    let sum = 0;
    for (const [i, j] of this.shared(other)) sum += this.weights[i]! * other.weights[j]!;
    return sum;
  }

  /** The shared terms with their products, largest product first: why two texts match. Their sum is `dot(other)`. */
  explain(other: SparseVector): SharedTerm[] {
    const shared: SharedTerm[] = [];
    for (const [i, j] of this.shared(other)) {
      const weight = this.weights[i]!;
      const otherWeight = other.weights[j]!;
      shared.push({ term: this.term(i), weight, otherWeight, product: weight * otherWeight });
    }
    return shared.sort((a, b) => b.product - a.product);
  }

  private term(i: number): string {
    return this.vocabulary[this.terms[i]!]!;
  }

  /** Places `[here, there]` of the shared terms. */
  private *shared(other: SparseVector): Generator<[number, number]> {
    checkObject('the other vector', other, 'a SparseVector', ['terms', 'weights', 'vocabulary']);
    if (this.vocabulary !== other.vocabulary) {
      const there = new Map(Array.from(other.terms, (term, j) => [other.vocabulary[term], j]));
      for (let i = 0; i < this.terms.length; i++) {
        const j = there.get(this.term(i));
        if (j !== undefined) yield [i, j];
      }
      return;
    }
    let i = 0;
    let j = 0;
    while (i < this.terms.length && j < other.terms.length) {
      const a = this.terms[i]!;
      const b = other.terms[j]!;
      if (a === b) yield [i, j];
      if (a <= b) i++;
      if (b <= a) j++;
    }
  }
}
