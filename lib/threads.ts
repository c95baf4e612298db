import { checkInteger } from './check';
import { native } from './native';

/**
 * Says how many threads this process computes and searches with, in the place of `FLES_NUM_THREADS`: one pool, which all encoders,
 * trainers and indexes share. To be called before the first of them is opened. Results do not depend on it.
 *
 * @throws FlesError `ERR_OPTION_RANGE` (not an integer in 1..1024), `ERR_THREADS_RUNNING` (another number of them runs already)
 */
export function setThreads(count: number): void {
  native.setThreads(checkInteger('count', count, 1, 1024));
  // The tokenizer's threads are as many.
  process.env.FLES_NUM_THREADS = String(count);
}
