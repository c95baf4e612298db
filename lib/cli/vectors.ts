import { FlesError } from '../errors';
import { SparseVector } from '../sparse-vector';
import { type JsonLine, readJsonLines, stringField } from '../text/lines';
import { checkNewId, openInput, type TextInputOptions } from './text-input';

/** A vector with its id. */
export interface VectorRecord {
  id: string;
  vector: SparseVector;
}

/**
 * One line of Anserini's JsonVectorCollection, `{"id": ..., "vector": {term: weight, ...}}`, heaviest term first.
 *
 * The text is put together by hand because a JavaScript object would move terms such as "2019" to the front. A weight
 * has the fewest digits that read back as the same float32.
 */
export function formatVector(id: string, vector: SparseVector): string {
  const terms = vector.entries().map(([term, weight]) => `${JSON.stringify(term)}:${formatWeight(weight)}`);
  return `{"id":${JSON.stringify(id)},"vector":{${terms.join(',')}}}\n`;
}

function formatWeight(weight: number): string {
  for (let digits = 6; digits < 9; digits++) {
    const shorter = Number(weight.toPrecision(digits));
    if (Math.fround(shorter) === weight) return String(shorter);
  }
  return String(Number(weight.toPrecision(9)));
}

/**
 * The vectors of a JsonVectorCollection, one at a time. All share one vocabulary that grows as terms appear; other
 * fields of a line are ignored, and a weight of 0 is left out.
 *
 * Throws `ERR_VECTOR_LINE` for a line without a vector or with a weight that is not a number of 0 or more,
 * `ERR_ID_DUPLICATE`, and what `readJsonLines` throws.
 */
export async function* readVectors(path: string, options: TextInputOptions = {}): AsyncGenerator<VectorRecord> {
  const { source, name } = openInput(path, options);
  const vocabulary: string[] = [];
  const termIds = new Map<string, number>();
  const seen = new Set<string>();
  for await (const line of readJsonLines(source, { name, signal: options.signal })) {
    const id = stringField(line, 'id');
    checkNewId(seen, id, line);
    const pairs = weightsOf(line).map(([term, weight]): [number, number] => {
      let termId = termIds.get(term);
      if (termId === undefined) {
        termId = vocabulary.push(term) - 1;
        termIds.set(term, termId);
      }
      return [termId, weight];
    });
    pairs.sort((a, b) => a[0] - b[0]);
    const terms = Uint32Array.from(pairs, ([termId]) => termId);
    const weights = Float32Array.from(pairs, ([, weight]) => weight);
    yield { id, vector: new SparseVector(terms, weights, vocabulary) };
  }
}

function weightsOf(line: JsonLine): [string, number][] {
  const { vector } = line.value;
  if (typeof vector !== 'object' || vector === null || Array.isArray(vector)) {
    throw new FlesError(
      'ERR_VECTOR_LINE',
      `${line.where} has no "vector", expected {"id": ..., "vector": {term: weight}}`,
    );
  }
  const weights: [string, number][] = [];
  for (const [term, weight] of Object.entries(vector)) {
    if (typeof weight !== 'number' || !(weight >= 0) || !Number.isFinite(Math.fround(weight))) {
      const seen = JSON.stringify(weight)?.slice(0, 40);
      throw new FlesError(
        'ERR_VECTOR_LINE',
        `${line.where} gives ${JSON.stringify(term)} the weight ${seen}, expected a number of 0 or more`,
      );
    }
    if (Math.fround(weight) > 0) weights.push([term, weight]);
  }
  return weights;
}
