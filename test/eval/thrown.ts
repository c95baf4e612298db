import { expect } from 'vitest';
import { FlesError } from '../../lib/errors';

/** The FlesError that `action` throws; anything else, or nothing, fails the test. */
export function thrown(action: () => unknown): FlesError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(FlesError);
    return error as FlesError;
  }
  throw new Error('expected a FlesError, nothing was thrown');
}

/** The FlesError that a promise rejects with. */
export async function rejected(promise: Promise<unknown>): Promise<FlesError> {
  const error = await promise.then(
    () => new Error('expected a FlesError, nothing was thrown'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(FlesError);
  return error as FlesError;
}
