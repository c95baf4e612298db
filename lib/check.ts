import { FlesError } from './errors';

/** The known name nearest to `name` by edit distance, if near enough to be a slip of the keyboard. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase().replaceAll(/[_-]/g, ''), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}

/** Refuses an options object with a key that is not in `known`, naming the nearest known key. */
export function checkKeys(options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw new FlesError('ERR_ARGUMENT_TYPE', `the options are ${show(options)}, expected an object`);
  }
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) {
      const guess = nearest(key, known);
      throw new FlesError(
        'ERR_OPTION_UNKNOWN',
        `option "${key}" is not known; ${guess ? `did you mean "${guess}"?` : `expected one of ${known.join(', ')}`}`,
      );
    }
  }
}

/** An integer option in `min..max`. */
export function checkInteger(name: string, value: unknown, min: number, max: number): number {
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
    throw new FlesError('ERR_OPTION_RANGE', `${name} is ${show(value)}, expected an integer in ${min}..${max}`);
  }
  return value as number;
}

/** The number of a row of a matrix that has `rows` of them. */
export function checkRow(i: number, rows: number): void {
  if (rows === 0) throw new FlesError('ERR_OPTION_RANGE', `row is ${show(i)}, expected none: the matrix has 0 rows`);
  checkInteger('row', i, 0, rows - 1);
}

/** A finite number option in `min..max`. */
export function checkNumber(name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < min || value > max) {
    throw new FlesError('ERR_OPTION_RANGE', `${name} is ${show(value)}, expected a number in ${min}..${max}`);
  }
  return value;
}

/** An option that is one of a few words. */
export function checkChoice<T extends string>(name: string, value: unknown, choices: readonly T[]): T {
  if (!choices.includes(value as T)) {
    const guess = typeof value === 'string' ? nearest(value, choices) : undefined;
    throw new FlesError(
      'ERR_OPTION_VALUE',
      `${name} is ${show(value)}, expected ${choices.join(' | ')}${guess ? `; did you mean "${guess}"?` : ''}`,
    );
  }
  return value as T;
}

/** A string argument. */
export function checkString(name: string, value: unknown): string {
  if (typeof value !== 'string') {
    throw new FlesError('ERR_ARGUMENT_TYPE', `${name} is ${show(value)}, expected a string`);
  }
  return value;
}

/** A value as it is quoted in a message: short, with its type when that is the point. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  if (typeof value === 'number' || typeof value === 'boolean' || value == null) return String(value);
  return Array.isArray(value) ? 'an array' : `a ${typeof value}`;
}
