import { nearest, show } from '../check';
import { DEVICE_FORMS, type Device, isDevice } from '../device';
import { FlesError } from '../errors';
import { isObject } from '../model/json';

/** One key of a configuration: what it is, what it may hold, and what it holds unless told otherwise. */
export interface Field<T> {
  readonly doc: string;
  readonly initial: T;
  /** What `accepts` accepts, as messages say it. */
  readonly expected: string;
  accepts(value: unknown): boolean;
}

/** Keys, some of them with keys of their own. */
export interface Schema {
  readonly [key: string]: Field<unknown> | Schema;
}

/** A configuration of this schema. */
export type Values<S> = {
  -readonly [K in keyof S]: S[K] extends Field<infer T> ? T : Values<S[K]>;
};

/** Some keys of it. */
export type Changes<S> = {
  readonly [K in keyof S]?: S[K] extends Field<infer T> ? T : Changes<S[K]>;
};

const isInteger = (value: unknown, min: number, max: number) =>
  Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;

export function integer(initial: number, min: number, max: number, doc: string): Field<number> {
  return { doc, initial, expected: `an integer in ${min}..${max}`, accepts: (value) => isInteger(value, min, max) };
}

export function number(initial: number, min: number, max: number, doc: string): Field<number> {
  const accepts = (value: unknown) => typeof value === 'number' && value >= min && value <= max;
  return { doc, initial, expected: `a number in ${min}..${max}`, accepts };
}

export function boolean(initial: boolean, doc: string): Field<boolean> {
  return { doc, initial, expected: 'true or false', accepts: (value) => typeof value === 'boolean' };
}

/** A string that is not empty. */
export function string(initial: string, doc: string): Field<string> {
  return { doc, initial, expected: 'a string', accepts: (value) => typeof value === 'string' && value !== '' };
}

/** Strings, one or more. */
export function strings(initial: readonly string[], doc: string): Field<readonly string[]> {
  const accepts = (value: unknown) =>
    Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string' && item !== '');
  return { doc, initial, expected: 'a list of strings', accepts };
}

export function choice<const T extends string>(initial: NoInfer<T>, choices: readonly T[], doc: string): Field<T> {
  return { doc, initial, expected: choices.join(' | '), accepts: (value) => choices.includes(value as T) };
}

export function device(initial: Device, doc: string): Field<Device> {
  return { doc, initial, expected: DEVICE_FORMS, accepts: isDevice };
}

/** The field, or null. */
export function orNull<T>(field: Field<T>): Field<T | null> {
  return {
    ...field,
    initial: null,
    expected: `${field.expected}, or null`,
    accepts: (value) => value === null || field.accepts(value),
  };
}

/** The field, or a word. */
export function orWord<T, const W extends string>(initial: T | W, field: Field<T>, word: W): Field<T | W> {
  return {
    ...field,
    initial,
    expected: `${field.expected}, or "${word}"`,
    accepts: (value) => value === word || field.accepts(value),
  };
}

function isField(item: Field<unknown> | Schema): item is Field<unknown> {
  return typeof item.accepts === 'function';
}

/** Every key, nested ones with dots. */
export function* fields(schema: Schema, prefix = ''): Generator<[key: string, field: Field<unknown>]> {
  for (const [key, item] of Object.entries(schema)) {
    if (isField(item)) yield [prefix + key, item];
    else yield* fields(item, `${prefix}${key}.`);
  }
}

export function initialValues<S extends Schema>(schema: S): Values<S> {
  const values = Object.entries(schema).map(([key, item]) => [key, isField(item) ? item.initial : initialValues(item)]);
  return Object.fromEntries(values) as Values<S>;
}

/**
 * `base` with what `changes` holds in its place.
 *
 * @param source what messages say first: a file, `--set`
 * @throws FlesError `ERR_CONFIG_KEY` (a key the schema does not have), `ERR_CONFIG_VALUE` (a value it does not accept)
 */
export function withChanges<S extends Schema>(schema: S, base: Values<S>, changes: unknown, source: string): Values<S> {
  return merge(schema, schema, base, changes, source, '') as Values<S>;
}

function merge(root: Schema, schema: Schema, base: object, changes: unknown, source: string, prefix: string): object {
  if (!isObject(changes)) {
    const what = prefix === '' ? 'the configuration' : prefix.slice(0, -1);
    const keys = Object.keys(schema).join(', ');
    throw new FlesError('ERR_CONFIG_VALUE', `${source}: ${what} is ${show(changes)}, expected an object of ${keys}`);
  }
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(changes)) {
    const item = Object.hasOwn(schema, key) ? schema[key]! : undefined;
    if (item === undefined) throw unknownKey(root, schema, prefix, key, source);
    if (!isField(item)) {
      result[key] = merge(root, item, result[key] as object, value, source, `${prefix}${key}.`);
    } else if (item.accepts(value)) {
      result[key] = value;
    } else {
      throw new FlesError(
        'ERR_CONFIG_VALUE',
        `${source}: ${prefix}${key} is ${show(value)}, expected ${item.expected}; ${item.doc}`,
      );
    }
  }
  return result;
}

function unknownKey(root: Schema, schema: Schema, prefix: string, key: string, source: string): FlesError {
  const elsewhere = [...fields(root)].map(([known]) => known).find((known) => known.endsWith(`.${key}`));
  const near = nearest(key, Object.keys(schema));
  const guess = elsewhere ?? (near && prefix + near);
  return new FlesError(
    'ERR_CONFIG_KEY',
    `${source}: there is no key "${prefix}${key}"; ` +
      (guess ? `did you mean "${guess}"?` : `expected one of ${Object.keys(schema).join(', ')}`),
  );
}
