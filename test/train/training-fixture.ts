import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readModel } from '../../lib/model/model';
import { safetensorsHeader } from '../../lib/model/safetensors';
import { storedNames } from '../../lib/model/tensors';
import {
  type LossTerm,
  type NativeObjective,
  type NativeSparseRows,
  type NativeTexts,
  type NativeTrainer,
  type NativeTrainerOptions,
  type NativeTrainingBatch,
  type NativeUpdate,
  native,
} from '../../lib/native';
import { readSafetensors } from '../support/fixtures';

/** What `test/fixtures/training.py` wrote; its first lines describe the files. */
const root = join(__dirname, '..', 'fixtures', 'training');

export const trainingModels = ['bert', 'distilbert'] as const;
export type TrainingModel = (typeof trainingModels)[number];

/** One objective with the value of each of its terms. */
export interface TrainingCase {
  name: string;
  pooling: NativeTrainerOptions['pooling'];
  queryKind: NativeTrainerOptions['queryKind'];
  objective: NativeObjective;
  values: { [term in LossTerm]?: number };
}

export interface TrainingFixture {
  directory: string;
  batch: NativeTrainingBatch;
  /** (T) the token to predict at each position of the documents, or -1. */
  labels: Int32Array;
  options: Pick<NativeTrainerOptions, 'dropped' | 'bagDropped'>;
  cases: TrainingCase[];
  /** The loss of masked language modelling. */
  mlm: number;
  /** Ten steps of AdamW: the loss before each. */
  steps: { objective: NativeObjective; update: NativeUpdate; losses: number[] };
  /** The gradient, or the weights after `steps`, of a parameter by its canonical name. */
  expected(caseName: string, parameter: string): Float32Array;
}

interface Stored {
  queries: number[][];
  documents: number[][];
  positives: number[];
  owners: number[];
  duplicates: number[];
  teacherScores: (number | null)[][];
  teacherQueries: [number, number][][];
  teacherDocuments: [number, number][][];
  dropped: number[];
  bagDropped: number[];
  labels: number[][];
  cases: (TrainingCase & { objective: StoredObjective })[];
  mlm: number;
  steps: { objective: StoredObjective; update: NativeUpdate; losses: number[] };
}
type StoredFlops = Omit<NativeObjective['flopsDocuments'], 'termWeights'> & { termWeights?: number[] };
type StoredObjective = Omit<NativeObjective, 'flopsDocuments'> & { flopsDocuments: StoredFlops };

export async function readTrainingFixture(name: TrainingModel): Promise<TrainingFixture> {
  const stored = JSON.parse(readFileSync(join(root, `${name}.batch.json`), 'utf8')) as Stored;
  const tensors = readSafetensors(join(root, `${name}.expected.safetensors`));
  const directory = join(root, name);
  const { architecture, config } = await readModel(directory);
  const names = storedNames(architecture, config, true);
  return {
    directory,
    batch: {
      queries: textsOf(stored.queries),
      documents: textsOf(stored.documents),
      positives: Int32Array.from(stored.positives),
      owners: Int32Array.from(stored.owners),
      duplicates: Int32Array.from(stored.duplicates),
      teacherScores: Float32Array.from(stored.teacherScores.flat(), (score) => score ?? Number.NaN),
      teacherQueries: rowsOf(stored.teacherQueries),
      teacherDocuments: rowsOf(stored.teacherDocuments),
    },
    labels: Int32Array.from(stored.labels.flat()),
    options: { dropped: Int32Array.from(stored.dropped), bagDropped: Int32Array.from(stored.bagDropped) },
    cases: stored.cases.map((entry) => ({ ...entry, objective: objectiveOf(entry.objective) })),
    mlm: stored.mlm,
    steps: { ...stored.steps, objective: objectiveOf(stored.steps.objective) },
    expected: (caseName, parameter) => tensors.get(`${caseName}/${names.get(parameter)}`)!.values,
  };
}

/** A trainer of a fixture's model, without dropout unless the options say so. */
export async function createTrainer(
  { directory, options }: Pick<TrainingFixture, 'directory' | 'options'>,
  changes: Partial<NativeTrainerOptions> = {},
  device = 'cpu',
): Promise<NativeTrainer> {
  const dense = changes.pooling === 'mean' || changes.pooling === 'cls';
  const { config, files, tensors } = await readModel(directory, dense ? { mode: 'dense' } : {});
  return native.NativeTrainer.create(
    { device, config, dtype: 'float32', withHead: !dense, files, tensors },
    {
      seed: 1,
      dropout: 0,
      attentionDropout: 0,
      dtype: 'float32',
      pooling: 'max',
      queryKind: 'encoder',
      microBatchTokens: 4096,
      keptLayers: 100,
      initialize: 'none',
      ...options,
      ...changes,
    },
  );
}

export function textsOf(texts: readonly (readonly number[])[]): NativeTexts {
  let end = 0;
  return {
    tokens: Int32Array.from(texts.flat()),
    offsets: Int32Array.of(0, ...texts.map((text) => (end += text.length))),
  };
}

/** The texts of both, one after the other. */
export function joined(a: NativeTexts, b: NativeTexts): NativeTexts {
  return {
    tokens: Int32Array.of(...a.tokens, ...b.tokens),
    offsets: Int32Array.of(...a.offsets, ...b.offsets.subarray(1).map((offset) => offset + a.tokens.length)),
  };
}

/** What goes through the network, in the order of the text numbers. */
export function encodedTexts(batch: NativeTrainingBatch, queryKind: 'encoder' | 'bag'): NativeTexts {
  return queryKind === 'bag' ? batch.documents : joined(batch.queries, batch.documents);
}

export const countOf = (texts: NativeTexts) => texts.offsets.length - 1;

/** The parameters, or anything laid out like them, by name. */
export function byName(trainer: NativeTrainer, values: Float32Array): Map<string, Float32Array> {
  return new Map(
    trainer.tensors.map(({ name, shape, offset }) => {
      const size = shape.reduce((product, length) => product * length, 1);
      return [name, values.subarray(offset, offset + size)];
    }),
  );
}

/** Writes parts of the trainer's state into one file. */
export async function saveParts(
  trainer: NativeTrainer,
  path: string,
  parts: readonly string[] = ['weights', 'first', 'second'],
): Promise<void> {
  const tensors = parts.flatMap((part) =>
    trainer.tensors.map(({ name, shape }) => ({ name: `${part}/${name}`, shape })),
  );
  await trainer.save(
    path,
    safetensorsHeader(tensors),
    tensors.map(({ name }) => name),
  );
}

/** The weights of a trainer, by name. */
export async function weightsOf(trainer: NativeTrainer): Promise<Map<string, Float32Array>> {
  const directory = mkdtempSync(join(tmpdir(), 'fles-weights-'));
  try {
    const path = join(directory, 'weights.safetensors');
    await saveParts(trainer, path, ['weights']);
    const stored = readSafetensors(path);
    return new Map(trainer.tensors.map(({ name }) => [name, stored.get(`weights/${name}`)!.values]));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

export const norm = (values: Iterable<number>) => Math.sqrt([...values].reduce((sum, value) => sum + value * value, 0));

/** Norm of the difference. */
export const distance = (a: Float32Array, b: Float32Array) => norm(a.map((value, i) => value - b[i]!));

function rowsOf(rows: [number, number][][]): NativeSparseRows {
  const { offsets } = textsOf(rows.map((row) => row.map(([term]) => term)));
  return {
    offsets: Float64Array.from(offsets),
    terms: Uint32Array.from(rows.flat(), ([term]) => term),
    weights: Float32Array.from(rows.flat(), ([, weight]) => weight),
  };
}

function objectiveOf(stored: StoredObjective): NativeObjective {
  const { termWeights, ...flops } = stored.flopsDocuments;
  return {
    ...stored,
    flopsDocuments: { ...flops, ...(termWeights && { termWeights: Float32Array.from(termWeights) }) },
  };
}
