import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What `test/fixtures/models.py` wrote; `test/fixtures/README.md` describes the files. */
const root = join(__dirname, '..', 'fixtures', 'models');

/** The random models, each a folder with expectations beside it. */
export const modelNames = ['bert-odd', 'bert-untied', 'distilbert', 'bert-wide', 'bert-relu'] as const;

/** A tensor of any stored float type, widened to float32 (exact). */
export interface Tensor {
  shape: number[];
  values: Float32Array;
}

/** Reads the F32, F16 and BF16 tensors of a safetensors file; others are left out. Trusts the file. */
export function readSafetensors(path: string): Map<string, Tensor> {
  const file = readFileSync(path);
  const begin = 8 + Number(file.readBigUInt64LE());
  const header = JSON.parse(file.toString('utf8', 8, begin)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = new Map<string, Tensor>();
  for (const [name, { dtype, shape, data_offsets: offsets }] of Object.entries(header)) {
    const widen = widening[dtype];
    if (!widen) continue;
    const bytes = file.subarray(begin + offsets[0], begin + offsets[1]);
    const length = shape.reduce((product, size) => product * size, 1);
    tensors.set(name, { shape, values: Float32Array.from({ length }, (_, i) => widen(bytes, i)) });
  }
  return tensors;
}

const widening: Record<string, (bytes: Buffer, i: number) => number> = {
  F32: (bytes, i) => bytes.readFloatLE(4 * i),
  BF16: (bytes, i) => {
    const word = Buffer.alloc(4);
    word.writeUInt16LE(bytes.readUInt16LE(2 * i), 2);
    return word.readFloatLE();
  },
  F16: (bytes, i) => {
    const bits = bytes.readUInt16LE(2 * i);
    const sign = bits >> 15 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = (bits & 1023) / 1024;
    return sign * (exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15));
  },
};

/** The float tensors of all safetensors files in a folder. */
export function readWeights(directory: string): Map<string, Tensor> {
  const files = readdirSync(directory).filter((name) => name.endsWith('.safetensors'));
  return new Map(files.flatMap((file) => [...readSafetensors(join(directory, file))]));
}

/** Row `i` of a matrix. */
function row(matrix: Tensor, i: number): Float32Array {
  const columns = matrix.shape[1]!;
  return matrix.values.subarray(i * columns, (i + 1) * columns);
}

/** A random model and what PyTorch computes from it. */
export interface ModelFixture {
  name: string;
  directory: string;
  /** Most tokens of a text, [CLS] and [SEP] included. */
  maxLength: number;
  texts: string[];
  /** Token ids of each text. */
  tokens: number[][];
  /** Terms of equal weight in every vector, ascending. */
  tiedTerms: number[];
  /** The expected vector of each text, e.g. `float32.max`: a row of V weights or of C dimensions. */
  expected(name: `float${32 | 64}.${string}`): Float32Array[];
}

/** Reads a random model's expectations. */
export function readModelFixture(name: (typeof modelNames)[number]): ModelFixture {
  const { maxLength, texts } = JSON.parse(readFileSync(join(root, `${name}.expected.json`), 'utf8')) as {
    maxLength: number;
    texts: { text: string; tokens: number[] }[];
  };
  const tensors = readSafetensors(join(root, `${name}.expected.safetensors`));
  const vocabularySize = tensors.get('float32.max')!.shape[1]!;
  return {
    name,
    directory: join(root, name),
    maxLength,
    texts: texts.map((entry) => entry.text),
    tokens: texts.map((entry) => entry.tokens),
    tiedTerms: [0, 1, 2, 3, 4].map((i) => Math.floor(vocabularySize / 5) * i + 9),
    expected: (vector) => texts.map((_, i) => row(tensors.get(vector)!, i)),
  };
}

/** Texts of NFCorpus with the vectors that real models give them. */
export interface RealFixture {
  maxLength: number;
  texts: string[];
  kinds: ('document' | 'query')[];
  /** Number of tokens of each text after truncation. */
  lengths: number[];
  /** `splade-tiny`, pooling max: term id to weight, all weights above 0. */
  sparse: Map<number, number>[];
  /** `minilm-l6-h384`: 384 dimensions, L2 norm 1. */
  dense: Float32Array[];
}

/** Reads the expectations of the real models; the texts are those of `dataDirectory/nfcorpus`. */
export function readRealFixture(dataDirectory: string): RealFixture {
  const { maxLength, texts } = JSON.parse(readFileSync(join(root, 'nfcorpus.expected.json'), 'utf8')) as {
    maxLength: number;
    texts: { kind: 'document' | 'query'; id: string; tokens: number }[];
  };
  const lookup = {
    document: readTexts(join(dataDirectory, 'nfcorpus', 'corpus.jsonl')),
    query: readTexts(join(dataDirectory, 'nfcorpus', 'queries.jsonl')),
  };
  const csr = readSafetensors(join(root, 'splade-tiny.expected.safetensors'));
  const [offsets, terms, weights] = ['offsets', 'terms', 'weights'].map((name) => csr.get(name)!.values);
  const vectors = readSafetensors(join(root, 'minilm-l6-h384.expected.safetensors')).get('vectors')!;
  return {
    maxLength,
    texts: texts.map(({ kind, id }) => lookup[kind].get(id)!),
    kinds: texts.map(({ kind }) => kind),
    lengths: texts.map(({ tokens }) => tokens),
    sparse: texts.map((_, i) => {
      const range = [offsets![i]!, offsets![i + 1]!] as const;
      const rowWeights = weights!.subarray(...range);
      return new Map(Array.from(terms!.subarray(...range), (term, k) => [term, rowWeights[k]!]));
    }),
    dense: texts.map((_, i) => row(vectors, i)),
  };
}

function readTexts(path: string): Map<string, string> {
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
  const entries = lines.map((line) => JSON.parse(line) as { _id: string; title?: string; text: string });
  return new Map(entries.map(({ _id, title, text }) => [_id, `${title ?? ''} ${text}`.trim()]));
}

/** Where real models or data lie, or the reason why a test that needs them is skipped. */
export interface Located {
  /** The folder named by the variable; empty when something is missing. */
  directory: string;
  /** False when the test must be skipped. */
  found: boolean;
  /** Appended to the name of the test: empty, or ` (skipped: ...)`. */
  reason: string;
}

/** Looks for `entries` (files or folders) in the folder that the environment variable names. */
export function locate(variable: 'FLES_DATA' | 'FLES_MODELS', ...entries: string[]): Located {
  const directory = process.env[variable];
  if (!directory) return { directory: '', found: false, reason: ` (skipped: ${variable} is not set)` };
  const missing = entries.find((entry) => !existsSync(join(directory, entry)));
  if (missing) return { directory: '', found: false, reason: ` (skipped: ${variable} has no ${missing})` };
  return { directory, found: true, reason: '' };
}

/** Root of the mean squared difference over all rows: unlike the largest one, it hardly depends on luck. */
export function spread(a: Float32Array[], b: Float32Array[]): number {
  const squares = a.flatMap((row, i) => Array.from(row, (value, j) => (value - b[i]![j]!) ** 2));
  return Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length);
}
