import { FlesError } from '../../errors';
import type { JsonLine } from '../../text/lines';

/** A list field of a record, empty when it is absent or null. Throws `ERR_RECORD_FIELD`. */
export function listField({ value, where }: JsonLine, field: string): unknown[] {
  const list = value[field] ?? [];
  if (Array.isArray(list)) return list;
  throw new FlesError(
    'ERR_RECORD_FIELD',
    `${where} field "${field}" is ${JSON.stringify(list).slice(0, 60)}, expected a list`,
  );
}

/** The `scores` of so many documents, NaN for null; undefined when there are none. Throws `ERR_RECORD_FIELD`. */
export function scoresField(line: JsonLine, documents: number): Float32Array | undefined {
  const scores = listField(line, 'scores');
  if (scores.length === 0) return undefined;
  const isScore = (score: unknown) =>
    score === null || (typeof score === 'number' && Number.isFinite(Math.fround(score)));
  if (scores.length === documents && scores.every(isScore)) {
    return Float32Array.from(scores as (number | null)[], (score) => score ?? Number.NaN);
  }
  throw new FlesError(
    'ERR_RECORD_FIELD',
    `${line.where} field "scores" is ${JSON.stringify(scores).slice(0, 60)}, expected ${documents} numbers: of the positive and of each negative, null for none`,
  );
}
