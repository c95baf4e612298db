import { show } from '../check';
import { FlesError } from '../errors';
import { SparseVector } from '../sparse-vector';

/** A sparse vector as an encoder gives it, or as a plain object `{term: weight}`. Weights of 0 are left out. */
export type VectorLike = SparseVector | Readonly<Record<string, number>>;

const MAX_FLOAT32 = 3.4028234663852886e38;

/**
 * Calls `visit(term, weight, termId)` for each term with a weight above 0; the weight is rounded to float32 and `termId`
 * is its number in `vector.vocabulary`, or -1 for a plain object. `owner` names the vector in errors.
 *
 * Throws `ERR_WEIGHT_RANGE` for a weight that is not a number from 0 to the largest float32.
 */
export function forEachTerm(
  vector: VectorLike,
  owner: () => string,
  visit: (term: string, weight: number, termId: number) => void,
): void {
  const checked = (term: string, weight: unknown): number => {
    const rounded = typeof weight === 'number' ? Math.fround(weight) : Number.NaN;
    if (!(rounded >= 0 && rounded <= MAX_FLOAT32)) {
      throw new FlesError(
        'ERR_WEIGHT_RANGE',
        `${owner()} has weight ${show(weight)} for term ${show(term)}, expected a finite number, 0 or more`,
      );
    }
    return rounded;
  };
  if (vector instanceof SparseVector) {
    const { terms, weights, vocabulary } = vector;
    for (let i = 0; i < terms.length; i++) {
      const term = vocabulary[terms[i]!];
      if (term === undefined) {
        throw new FlesError(
          'ERR_TERM_RANGE',
          `${owner()} has term ${terms[i]}, expected 0..${vocabulary.length - 1} (its vocabulary)`,
        );
      }
      const weight = checked(term, weights[i]);
      if (weight > 0) visit(term, weight, terms[i]!);
    }
  } else if (typeof vector === 'object' && vector !== null) {
    for (const term of Object.keys(vector)) {
      const weight = checked(term, vector[term]);
      if (weight > 0) visit(term, weight, -1);
    }
  } else {
    throw new FlesError(
      'ERR_ARGUMENT_TYPE',
      `${owner()} is ${show(vector)}, expected a SparseVector or an object of weights`,
    );
  }
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
