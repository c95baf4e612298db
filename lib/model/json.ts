import { readFile, stat } from 'node:fs/promises';
import { isAbsolute, join, relative, sep } from 'node:path';
import { show } from '../check';
import { FlesError, fileError, messageOf } from '../errors';

/** A JSON object of a model folder together with the path that errors name. */
export class JsonFile {
  constructor(
    readonly path: string,
    readonly value: Readonly<Record<string, unknown>>,
  ) {}

  has(key: string): boolean {
    return this.value[key] !== undefined && this.value[key] !== null;
  }

  /** The integer under `key` in `min..max`; `fallback` when it is absent or null. */
  integer(key: string, min: number, max: number, fallback?: number): number {
    if (!this.has(key) && fallback !== undefined) return fallback;
    const value = this.value[key];
    if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
      throw this.error(key, `expected an integer in ${min}..${max}`);
    }
    return value as number;
  }

  string(key: string, fallback?: string): string {
    if (!this.has(key) && fallback !== undefined) return fallback;
    const value = this.value[key];
    if (typeof value !== 'string') throw this.error(key, 'expected a string');
    return value;
  }

  boolean(key: string, fallback: boolean): boolean {
    if (!this.has(key)) return fallback;
    const value = this.value[key];
    if (typeof value !== 'boolean') throw this.error(key, 'expected true or false');
    return value;
  }

  /** The object under `key`, or an empty one when it is absent. */
  object(key: string): JsonFile {
    if (!this.has(key)) return new JsonFile(this.path, {});
    const value = this.value[key];
    if (!isObject(value)) throw this.error(key, 'expected an object');
    return new JsonFile(this.path, value);
  }

  error(key: string, expected: string, code = 'ERR_MODEL_CONFIG'): FlesError {
    return new FlesError(code, `${this.path}: ${key} is ${show(this.value[key])}, ${expected}`);
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const MAX_BYTES = 64 * 2 ** 20;

/**
 * Reads a UTF-8 JSON document; undefined when there is no such file.
 *
 * @param pipe whether it may be a pipe, which is waited for
 */
export async function readJson(path: string, { pipe = false } = {}): Promise<unknown> {
  let bytes: Buffer;
  try {
    const status = await stat(path);
    if (status.isFIFO() && !pipe) {
      throw new FlesError('ERR_FILE_KIND', `${path} is a pipe, expected a regular file`);
    }
    if (status.size > MAX_BYTES) {
      throw new FlesError(
        'ERR_JSON',
        `${path} has ${status.size} bytes, expected at most ${MAX_BYTES}; is it the right file?`,
      );
    }
    bytes = await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileError(error, path);
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new FlesError(
      'ERR_JSON',
      `${path} is not valid JSON (${messageOf(error)}); correct it, or download it again`,
      {
        cause: error,
      },
    );
  }
}

/** Reads a JSON object; undefined when there is no such file. */
export async function readJsonFile(path: string): Promise<JsonFile | undefined> {
  const value = await readJson(path);
  if (value === undefined) return undefined;
  if (!isObject(value)) throw new FlesError('ERR_JSON', `${path} holds ${show(value)}, expected a JSON object`);
  return new JsonFile(path, value);
}

/**
 * Joins a path written inside a model folder to that folder and refuses one that leaves it.
 * Symbolic links are followed as usual: the Hugging Face cache is made of them.
 */
export function joinInside(directory: string, path: string, source: string): string {
  const joined = join(directory, path);
  const inside = relative(directory, joined);
  if (isAbsolute(path) || path.includes('\0') || inside === '..' || inside.startsWith(`..${sep}`)) {
    throw new FlesError('ERR_MODEL_PATH', `${source} names ${show(path)}, expected a path inside ${directory}`);
  }
  return joined;
}
