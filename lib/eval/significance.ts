import { checkInteger, checkKeys, checkMap, checkObject, checkString } from '../check';
import { FlesError } from '../errors';

/** Values of one metric by query id: what `perQuery` of an evaluation holds, one metric taken out. */
export type QueryValues = ReadonlyMap<string, number>;

export interface Comparison {
  /** Mean of a minus mean of b. */
  difference: number;
  /** Two-sided: how likely so large a difference is if the systems do not differ. */
  p: number;
  queries: number;
  /** a minus b by query id. */
  perQuery: Map<string, number>;
}

export interface RandomisationOptions {
  /** Assignments drawn, 1..10^8, by default 100,000. With n queries and 2^n of at most that many, all are counted instead. */
  samples?: number;
  /** Seed of the draws, 0..2^32-1, by default 1. */
  seed?: number;
}

/** The values of one metric from the `perQuery` of an evaluation. */
export function valuesOf(perQuery: ReadonlyMap<string, Record<string, number>>, metric: string): Map<string, number> {
  checkMap('perQuery', perQuery, 'values by query id, as evaluate gives');
  checkString('metric', metric);
  const valueIn = (query: string, values: Record<string, number>) =>
    checkObject(`values of query ${query}`, values, 'an object of values by metric')[metric] ?? Number.NaN;
  return new Map([...perQuery.entries()].map(([query, values]) => [query, valueIn(query, values)]));
}

/**
 * Paired randomisation (permutation) test, two-sided, on the difference of means: if the systems do not differ, the two
 * values of a query may as well be swapped.
 *   Smucker, Allan and Carterette 2007, doi:10.1145/1321440.1321528
 *
 * p is the share of assignments at least as extreme as what was seen. Drawn ones count the seen one too, so p is at
 * least 1 / (samples + 1). The same seed gives the same p. Throws `ERR_QUERIES_MISMATCH` and `ERR_OPTION_RANGE`.
 */
export function randomisationTest(a: QueryValues, b: QueryValues, options: RandomisationOptions = {}): Comparison {
  checkKeys(options, ['samples', 'seed']);
  const samples = checkInteger('samples', options.samples ?? 100_000, 1, 1e8);
  const next = random(checkInteger('seed', options.seed ?? 1, 0, 2 ** 32 - 1));
  const perQuery = differences(a, b);
  const values = Float64Array.from(perQuery.values());
  const n = values.length;
  const total = sum(values);
  // Sums in another order differ in the last digits; an equal one counts as extreme.
  const extreme = Math.abs(total) - 1e-12 * values.reduce((size, value) => size + Math.abs(value), 0);
  const exact = n <= 30 && 2 ** n <= samples;
  const assignments = exact ? 2 ** n : samples;
  let count = 0;
  for (let s = 0; s < assignments; s++) {
    let bits = 0;
    let swapped = 0;
    for (let i = 0; i < n; i++) {
      if (i % 32 === 0) bits = exact ? s : next();
      if (bits & 1) swapped += values[i]!;
      bits >>>= 1;
    }
    if (Math.abs(total - 2 * swapped) >= extreme) count++;
  }
  const p = exact ? count / assignments : (count + 1) / (assignments + 1);
  return { difference: total / n, p, queries: n, perQuery };
}

/**
 * Paired t-test (Student), two-sided, with n - 1 degrees of freedom. Where all differences are equal t is infinite and
 * p is 0, where all are 0 t is 0 and p is 1. Throws `ERR_QUERIES_MISMATCH`, for fewer than 2 queries too.
 */
export function pairedTTest(a: QueryValues, b: QueryValues): Comparison & { t: number } {
  const perQuery = differences(a, b);
  const values = Float64Array.from(perQuery.values());
  const n = values.length;
  if (n < 2) throw new FlesError('ERR_QUERIES_MISMATCH', `there is ${n} query, expected at least 2 for a t-test`);
  const difference = sum(values) / n;
  const variance = sum(values.map((value) => (value - difference) ** 2)) / (n - 1);
  const t = difference === 0 ? 0 : difference / Math.sqrt(variance / n);
  return { difference, t, p: studentTail(t, n - 1), queries: n, perQuery };
}

function differences(a: QueryValues, b: QueryValues): Map<string, number> {
  for (const [name, values] of Object.entries({ a, b }))
    checkMap(name, values, 'values by query id, as valuesOf gives');
  if (a.size !== b.size || a.size === 0) {
    throw new FlesError(
      'ERR_QUERIES_MISMATCH',
      `the systems have values for ${a.size} and ${b.size} queries, expected the same queries for both, at least 1`,
    );
  }
  const perQuery = new Map<string, number>();
  for (const [query, value] of a) {
    const difference = value - (b.get(query) ?? Number.NaN);
    if (!Number.isFinite(difference)) {
      throw new FlesError(
        'ERR_QUERIES_MISMATCH',
        `query ${query} has no value in one of the systems, expected one in both`,
      );
    }
    perQuery.set(query, difference);
  }
  return perQuery;
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}

/** 32 random bits a call: the generator splitmix32. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return z ^ (z >>> 15);
  };
}

/** P(|T| >= |t|) of Student's distribution: the regularised incomplete beta function at df / (df + t^2). */
function studentTail(t: number, df: number): number {
  if (!Number.isFinite(t)) return 0;
  const x = df / (df + t * t);
  return incompleteBeta(x, df / 2, 0.5);
}

/** Regularised incomplete beta function I_x(a, b) by its continued fraction (Abramowitz and Stegun 26.5.8). */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  // The fraction converges fast below the mean only.
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const scale = Math.exp(a * Math.log(x) + b * Math.log1p(-x) - logBeta(a, b)) / a;
  // Lentz's method.
  let c = 1;
  let d = 1 / (1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m < 500; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / (1 + even * d);
    c = 1 + even / c;
    fraction *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / (1 + odd * d);
    c = 1 + odd / c;
    const step = d * c;
    fraction *= step;
    if (Math.abs(step - 1) < 1e-15) break;
  }
  return scale * fraction;
}

function logBeta(a: number, b: number): number {
  return logGamma(a) + logGamma(b) - logGamma(a + b);
}

/** ln of the gamma function for x > 0: Stirling's series, after moving x up to 10 where six terms give 15 digits. */
function logGamma(x: number): number {
  let shift = 0;
  let z = x;
  for (; z < 10; z++) shift += Math.log(z);
  const r = 1 / (z * z);
  const series = (1 / 12 - r * (1 / 360 - r * (1 / 1260 - r * (1 / 1680 - r * (1 / 1188 - (r * 691) / 360360))))) / z;
  return (z - 0.5) * Math.log(z) - z + 0.5 * Math.log(2 * Math.PI) + series - shift;
}
