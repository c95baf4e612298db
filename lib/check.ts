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

/**
 * Refuses an options object with a key that is not in `known`, naming the nearest known key. What is the same everywhere is
 * checked too: `signal` is an AbortSignal, and what begins with `on` a function.
 */
export function checkKeys(options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw new FlesError('ERR_ARGUMENT_TYPE', `the options are ${show(options)}, expected an object`);
  }
  for (const [key, value] of Object.entries(options)) {
    if (!known.includes(key)) {
      const guess = nearest(key, known);
      throw new FlesError(
        'ERR_OPTION_UNKNOWN',
        `option "${key}" is not known; ${guess ? `did you mean "${guess}"?` : `expected one of ${known.join(', ')}`}`,
      );
    }
    if (key === 'signal') checkSignal(value);
    if (/^on[A-Z]/.test(key)) checkFunction(key, value);
  }
}

/** A signal that may be absent. */
export function checkSignal(value: unknown): void {
  const { throwIfAborted, addEventListener } = (value ?? {}) as Partial<AbortSignal>;
  if (value === undefined || (typeof throwIfAborted === 'function' && typeof addEventListener === 'function')) return;
  throw new FlesError('ERR_OPTION_VALUE', `signal is ${show(value)}, expected an AbortSignal`);
}

/** A function that may be absent. */
export function checkFunction(name: string, value: unknown): void {
  if (value === undefined || typeof value === 'function') return;
  throw new FlesError('ERR_OPTION_VALUE', `${name} is ${show(value)}, expected a function`);
}

/** A function that must be there. */
export function checkCallable(name: string, value: unknown): void {
  if (typeof value === 'function') return;
  throw new FlesError('ERR_ARGUMENT_TYPE', `${name} is ${show(value)}, expected a function`);
}

/** An option that is true or false, or absent. */
export function checkBoolean(name: string, value: unknown): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value;
  throw new FlesError('ERR_OPTION_VALUE', `${name} is ${show(value)}, expected true or false`);
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

/** The range of a number as messages say it. The least number above 0 stands for what is above 0. */
export function rangeOf(min: number, max: number): string {
  return min === Number.MIN_VALUE ? `above 0, at most ${max}` : `in ${min}..${max}`;
}

/** A finite number option in `min..max`. */
export function checkNumber(name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < min || value > max) {
    throw new FlesError('ERR_OPTION_RANGE', `${name} is ${show(value)}, expected a number ${rangeOf(min, max)}`);
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

/** An array argument. `expected` says of what. */
export function checkArray<T>(name: string, value: readonly T[], expected: string): readonly T[] {
  if (Array.isArray(value)) return value;
  throw new FlesError('ERR_ARGUMENT_TYPE', `${name} is ${show(value)}, expected an array of ${expected}`);
}

/** An array argument whose members are strings. */
export function checkStrings(name: string, value: readonly string[]): readonly string[] {
  for (const [i, text] of checkArray(name, value, 'strings').entries()) checkString(`${name}[${i}]`, text);
  return value;
}

/** An argument that `for await` takes; a string is none. */
export function checkIterable<T>(
  name: string,
  value: Iterable<T> | AsyncIterable<T>,
  expected: string,
): Iterable<T> | AsyncIterable<T> {
  const isIterable =
    typeof value === 'object' && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value);
  if (isIterable) return value;
  throw new FlesError('ERR_ARGUMENT_TYPE', `${name} is ${show(value)}, expected an iterable of ${expected}`);
}

/** An argument that is a `Map`, or reads like one. */
export function checkMap<T extends ReadonlyMap<unknown, unknown>>(name: string, value: T, expected: string): T {
  return checkObject(name, value, `a Map of ${expected}`, ['get', 'has', 'size', 'entries']);
}

/** An argument that is an object with the members that are needed of it. */
export function checkObject<T extends object>(
  name: string,
  value: T,
  expected: string,
  members: readonly string[] = [],
): T {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (isObject && members.every((member) => member in value)) return value;
  throw new FlesError('ERR_ARGUMENT_TYPE', `${name} is ${show(value)}, expected ${expected}`);
}

/** A value as it is quoted in a message: short, with its type when that is the point. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  if (typeof value === 'number' || typeof value === 'boolean' || value == null) return String(value);
  if (typeof value === 'object') return Array.isArray(value) ? 'an array' : 'an object';
  return `a ${typeof value}`;
}
