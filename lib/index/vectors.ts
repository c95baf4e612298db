import { show } from '../check';
import { FlesError } from '../errors';
import { SparseVector } from '../sparse-vector';

/** A sparse vector as an encoder gives it, or as a plain object `{term: weight}`. Weights of 0 are left out. */
export type VectorLike = SparseVector | Readonly<Record<string, number>>;

/** Numbers the terms of vectors, and remembers the numbers of a vocabulary's terms. */
export class TermIds {
  private readonly resolve: (term: string) => number;
  private readonly known = new WeakMap<readonly string[], Int32Array>();

  /** `resolve` gives a term's id, 0 or more, or -1 for a term to leave out; it is asked once or more a term. */
  constructor(resolve: (term: string) => number) {
    this.resolve = resolve;
  }

  /**
   * Calls `visit(id, weight, term)` for each term with an id and a weight above 0, which is rounded to float32.
   * `owner` names the vector in errors.
   *
   * Throws `ERR_WEIGHT_RANGE` for a weight that is not a number from 0 to the largest float32, `ERR_TERM_RANGE` for a
   * term id outside the vocabulary, `ERR_ARGUMENT_TYPE` for what is no vector.
   */
  forEach(vector: VectorLike, owner: () => string, visit: (id: number, weight: number, term: string) => void): void {
    if (vector instanceof SparseVector) {
      const { terms, weights, vocabulary } = vector;
      const ids = this.idsOf(vocabulary);
      for (let i = 0; i < terms.length; i++) {
        const term = vocabulary[terms[i]!];
        if (term === undefined) {
          throw new FlesError(
            'ERR_TERM_RANGE',
            `${owner()} has term ${terms[i]}, expected 0..${vocabulary.length - 1} (its vocabulary)`,
          );
        }
        const weight = checkWeight(weights[i], term, owner);
        if (weight === 0) continue;
        let id = ids[terms[i]!]!;
        if (id === UNASKED) {
          id = this.resolve(term);
          ids[terms[i]!] = id;
        }
        if (id >= 0) visit(id, weight, term);
      }
    } else if (isPlainObject(vector)) {
      for (const term of Object.keys(vector)) {
        const weight = checkWeight(vector[term], term, owner);
        if (weight === 0) continue;
        const id = this.resolve(term);
        if (id >= 0) visit(id, weight, term);
      }
    } else {
      throw new FlesError(
        'ERR_ARGUMENT_TYPE',
        `${owner()} is ${show(vector)}, expected a SparseVector or an object of weights`,
      );
    }
  }

  /** A place for the id of each term, also of those that the vocabulary has got since it was last seen. */
  private idsOf(vocabulary: readonly string[]): Int32Array {
    const known = this.known.get(vocabulary);
    if (known !== undefined && known.length >= vocabulary.length) return known;
    const ids = new Int32Array(known === undefined ? vocabulary.length : 2 * vocabulary.length).fill(UNASKED);
    if (known !== undefined) ids.set(known);
    this.known.set(vocabulary, ids);
    return ids;
  }
}

const UNASKED = -2;

/** A map or an array would count as a vector without terms. */
function isPlainObject(value: unknown): value is Record<string, number> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Queries as a list that is no longer the caller's. Throws `ERR_ARGUMENT_TYPE` for what is none. */
export function vectorsOf(vectors: Iterable<VectorLike>): readonly VectorLike[] {
  if (typeof vectors === 'object' && vectors !== null && Symbol.iterator in vectors) return [...vectors];
  throw new FlesError(
    'ERR_ARGUMENT_TYPE',
    `the queries are ${show(vectors)}, expected an array of vectors or a SparseMatrix`,
  );
}

function checkWeight(weight: unknown, term: string, owner: () => string): number {
  const rounded = typeof weight === 'number' ? Math.fround(weight) : Number.NaN;
  if (!(rounded >= 0 && Number.isFinite(rounded))) {
    throw new FlesError(
      'ERR_WEIGHT_RANGE',
      `${owner()} has weight ${show(weight)} for term ${show(term)}, expected a finite number, 0 or more`,
    );
  }
  return rounded;
}

/** Refuses a string that has no UTF-8 form, which the index could not give back. */
export function checkWellFormed(what: string, text: string): string {
  if (/\p{Surrogate}/u.test(text)) {
    throw new FlesError('ERR_STRING_SURROGATE', `${what} ${show(text)} has half of a surrogate pair; correct its text`);
  }
  return text;
}

/** Rows of (term id, weight) that grow: the arrays that the native core takes. */
export class Rows {
  private terms = new Uint32Array(1 << 12);
  private weights = new Float32Array(1 << 12);
  private readonly ends: number[] = [0];
  private count = 0;

  get rows(): number {
    return this.ends.length - 1;
  }

  get postings(): number {
    return this.count;
  }

  push(term: number, weight: number): void {
    if (this.count === this.terms.length) {
      const terms = new Uint32Array(2 * this.count);
      const weights = new Float32Array(2 * this.count);
      terms.set(this.terms);
      weights.set(this.weights);
      this.terms = terms;
      this.weights = weights;
    }
    this.terms[this.count] = term;
    this.weights[this.count++] = weight;
  }

  endRow(): void {
    this.ends.push(this.count);
  }

  /** Views that hold until the next `push` or `clear`. */
  arrays(): [offsets: Float64Array, terms: Uint32Array, weights: Float32Array] {
    return [Float64Array.from(this.ends), this.terms.subarray(0, this.count), this.weights.subarray(0, this.count)];
  }

  clear(): void {
    this.ends.length = 1;
    this.count = 0;
  }
}
