import { open } from 'node:fs/promises';
import { show } from '../check';
import { FlesError, fileError } from '../errors';
import { readJsonFile } from './json';
import { readSafetensorsHeader } from './safetensors';
import type { ModelSpec } from './spec';

/**
 * Reads the table of query weights of a model: one weight for each term of `vocabulary`, 0 for a term the table lacks.
 *
 * Two forms: idf.json, `{"term": weight}` (OpenSearch's models), and the tensor `weight` of sentence-transformers'
 * SparseStaticEmbedding. Geng et al. 2024, arXiv:2411.04403, trains such inference-free queries.
 *
 * @throws FlesError `ERR_MODEL_IDF` (no table, a term that the vocabulary lacks, a weight that is no finite number),
 *   `ERR_TENSOR_*`, `ERR_SAFETENSORS_*`, `ERR_JSON`
 */
export async function readIdfTable(
  spec: Pick<ModelSpec, 'directory' | 'idf'>,
  vocabulary: readonly string[],
): Promise<Float32Array> {
  if (!spec.idf) throw new FlesError('ERR_MODEL_IDF', `${spec.directory} has no table of query weights (idf.json)`);
  const { path, format } = spec.idf;
  return format === 'json' ? readJsonTable(path, vocabulary) : readTensorTable(path, vocabulary.length);
}

async function readJsonTable(path: string, vocabulary: readonly string[]): Promise<Float32Array> {
  const file = await readJsonFile(path);
  if (!file) throw new FlesError('ERR_MODEL_IDF', `${path} does not exist although the model names it; download it`);
  const ids = new Map(vocabulary.map((term, id) => [term, id]));
  const weights = new Float32Array(vocabulary.length);
  for (const [term, weight] of Object.entries(file.value)) {
    const id = ids.get(term);
    if (id === undefined) {
      throw new FlesError('ERR_MODEL_IDF', `${path} weighs the term ${show(term)}, which the vocabulary does not have`);
    }
    weights[id] = checkWeight(weight, show(term), path);
  }
  return weights;
}

async function readTensorTable(path: string, size: number): Promise<Float32Array> {
  const entry = (await readSafetensorsHeader(path)).get('weight');
  if (!entry) throw new FlesError('ERR_TENSOR_MISSING', `${path} has no tensor "weight", the table of query weights`);
  const decode = DECODERS[entry.dtype];
  if (!decode) {
    throw new FlesError(
      'ERR_TENSOR_TYPE',
      `${path}: tensor "weight" is stored as ${entry.dtype}, supported are F32, F16 and BF16`,
    );
  }
  // A table may end behind its last term.
  if (entry.shape.length !== 1 || entry.shape[0]! > size) {
    throw new FlesError(
      'ERR_TENSOR_SHAPE',
      `${path}: tensor "weight" has the shape ${entry.shape.join(' x ') || 'scalar'}, expected at most ${size} (the vocabulary)`,
    );
  }
  const bytes = Buffer.alloc(entry.bytes);
  const file = await open(path).catch((error) => Promise.reject(fileError(error, path)));
  try {
    const { bytesRead } = await file.read(bytes, 0, bytes.length, entry.offset);
    if (bytesRead !== bytes.length) throw new FlesError('ERR_SAFETENSORS_TRUNCATED', `${path} ends while it is read`);
  } finally {
    await file.close();
  }
  const weights = new Float32Array(size);
  for (let id = 0; id < entry.shape[0]!; id++) weights[id] = checkWeight(decode(bytes, id), `id ${id}`, path);
  return weights;
}

function checkWeight(weight: unknown, term: string, path: string): number {
  if (typeof weight !== 'number' || !Number.isFinite(weight)) {
    throw new FlesError('ERR_MODEL_IDF', `${path}: the weight of ${term} is ${show(weight)}, expected a finite number`);
  }
  return weight;
}

const word = new DataView(new ArrayBuffer(4));

const DECODERS: Readonly<Record<string, (bytes: Buffer, i: number) => number>> = {
  F32: (bytes, i) => bytes.readFloatLE(4 * i),
  BF16: (bytes, i) => {
    word.setUint32(0, bytes.readUInt16LE(2 * i) << 16);
    return word.getFloat32(0);
  },
  F16: (bytes, i) => {
    const bits = bytes.readUInt16LE(2 * i);
    const exponent = (bits >> 10) & 31;
    const fraction = (bits & 1023) / 1024;
    const magnitude = exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15);
    // Infinity and NaN; the caller refuses both.
    if (exponent === 31) return Number.NaN;
    return bits >> 15 ? -magnitude : magnitude;
  },
};
