import { show } from '../check';
import { FlesError } from '../errors';
import { LargeMap } from '../large-map';
import type { SparseVector } from '../sparse-vector';
import { formatFloat32 } from '../text/format-float32';
import { checkNewId, idField, type JsonLine, readJsonLines } from '../text/lines';
import { openInput, type TextInputOptions } from './text-input';

/** Weights by term. */
export type TermWeights = Record<string, number>;

/**
 * One line of Anserini's JsonVectorCollection, `{"id": ..., "vector": {term: weight, ...}}`, heaviest term first.
 *
 * The text is put together by hand because a JavaScript object would move terms such as "2019" to the front. A weight
 * has the fewest digits that read back as the same float32.
 */
export function formatVector(id: string, vector: SparseVector): string {
  const terms = vector.entries().map(([term, weight]) => `${JSON.stringify(term)}:${formatFloat32(weight)}`);
  return `{"id":${JSON.stringify(id)},"vector":{${terms.join(',')}}}\n`;
}

/**
 * The vectors of a JsonVectorCollection, one at a time; other fields of a line are ignored.
 *
 * Throws `ERR_VECTOR_LINE` for a line without a vector or with a weight that is not a number of 0 or more,
 * `ERR_ID_DUPLICATE`, and what `readJsonLines` throws.
 */
export async function* readVectors(
  path: string,
  options: TextInputOptions = {},
): AsyncGenerator<{ id: string; vector: TermWeights }> {
  const { source, name } = openInput(path, options);
  const seen = new LargeMap<true>();
  for await (const line of readJsonLines(source, { name, signal: options.signal })) {
    const vector = termWeights(line);
    const id = idField(line, 'id');
    checkNewId(seen, id, line);
    yield { id, vector };
  }
}

function termWeights(line: JsonLine): TermWeights {
  const { vector, text } = line.value;
  if (typeof vector !== 'object' || vector === null || Array.isArray(vector)) {
    throw new FlesError(
      'ERR_VECTOR_LINE',
      `${line.where} has no "vector", expected {"id": ..., "vector": {term: weight}}` +
        (typeof text === 'string' ? '; fles encode makes vectors of texts' : ''),
    );
  }
  for (const [term, weight] of Object.entries(vector)) {
    if (typeof weight !== 'number' || !(weight >= 0) || !Number.isFinite(Math.fround(weight))) {
      throw new FlesError(
        'ERR_VECTOR_LINE',
        `${line.where} gives ${show(term)} the weight ${show(weight)}, expected a number of 0 or more`,
      );
    }
  }
  return vector as TermWeights;
}
