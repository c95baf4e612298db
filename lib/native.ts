import { join } from 'node:path';
import nodeGypBuild from 'node-gyp-build';
import { FlesError, messageOf } from './errors';
import type { DensePooling, NetworkConfig, Pooling, TensorPlace } from './model/spec';

/** What the addon exports. Each is described by a comment `// name(args): type` beside its C++ definition. */
export interface Native {
  initialize(errorClass: typeof FlesError): void;
  platform(): Platform;
  /** Of the compute threads, before they run. */
  setThreads(count: number): void;
  /** Compute threads that run, or else would; asks no device. */
  threadCount(): number;
  /** Bytes of memory that a device has of its own; 0 where that is the host's. ERR_DEVICE_UNAVAILABLE. */
  deviceMemory(device: string): number;
  /** GFLOP/s of float32 multiply-adds on registers, all threads, while about so many are done. Blocks. */
  multiplyAddRate(flop: number): number;
  /** This machine's measured limits: float32 GFLOP/s at the chosen level and GB/s read from memory, all threads. Blocks. */
  roofline(): { gflops: number; gbytes: number };
  NativeEncoder: NativeEncoderClass;
  Cancellation: new () => Cancellation;
  NativeIndexBuilder: NativeIndexBuilderClass;
  NativeIndex: NativeIndexClass;
  NativeTrainer: NativeTrainerClass;
  /** Runs one op of the table; `device` is a backend or a CPU level such as `cpu:avx2`. Output arrays are filled in place. */
  runOp(device: string, op: string, args: object): void;
  /**
   * The op with its arguments in the backend's memory, for benchmarks: what this returns runs it so many times, once by
   * default, and waits until the device has done it.
   */
  prepareOp(device: string, op: string, args: object): (runs?: number) => void;
  opNames(): string[];
}

/** Facts about this machine and build. */
export interface Platform {
  /** Instruction set chosen for the CPU backend; `FLES_CPU` forces another. */
  cpuLevel: string;
  /** What matrix products asked for in bfloat16 are computed in: that, or whole numbers of 16 bits where these are faster. */
  cpuSixteenBits: 'bfloat16' | 'int16';
  /** Those that this build has and this processor runs. */
  cpuLevels: string[];
  cpuFeatures: string[];
  /** Compute threads: `FLES_NUM_THREADS`, else the processors granted to this process. */
  threads: number;
  backends: { name: string; installed: boolean; available: boolean; reason: string; description: string }[];
}

export interface NativeModelSource {
  device: string;
  /** Of the matrix products. */
  dtype: 'float32' | 'bfloat16' | 'int8';
  config: NetworkConfig;
  withHead: boolean;
  files: string[];
  tensors: TensorPlace[];
}

export interface NativeSparseOptions {
  pooling: Pooling;
  threshold: number;
  /** 0: all. */
  topK: number;
  dropped: Int32Array;
}

export interface NativeSparseRows {
  offsets: Float64Array;
  terms: Uint32Array;
  weights: Float32Array;
}

export interface Cancellation {
  cancel(): void;
}

export interface NativeEncoder {
  /** Name of the backend that computes. */
  readonly device: string;
  readonly weightBytes: number;
  encodeSparse(
    tokens: Int32Array,
    offsets: Int32Array,
    options: NativeSparseOptions,
    cancellation?: Cancellation,
  ): Promise<NativeSparseRows>;
  encodeDense(
    tokens: Int32Array,
    offsets: Int32Array,
    options: { pooling: DensePooling; normalize: boolean },
    cancellation?: Cancellation,
  ): Promise<Float32Array>;
  dispose(): void;
}

interface NativeEncoderClass {
  load(source: NativeModelSource): Promise<NativeEncoder>;
}

export interface NativeIndexBuilder {
  append(
    names: string[],
    newTerms: string[],
    offsets: Float64Array,
    terms: Uint32Array,
    weights: Float32Array,
  ): Promise<void>;
  finish(destination: string, overwrite: boolean, cancellation?: Cancellation): Promise<void>;
  /** Closes its files, once calls under way have ended. */
  dispose(): void;
}

interface NativeIndexBuilderClass {
  /** `blockBits`: documents of a block as a power of two; tests make them small. */
  new (directory: string, blockBits?: number): NativeIndexBuilder;
}

export interface NativeIndex {
  readonly info: { documents: number; terms: number; postings: number; sections: number[]; fileBytes: number };
  /** The string of each term id. */
  lexicon(): string[];
  /** Hits of several queries in a row: those of query `i` end at `ends[i]`. */
  search(
    offsets: Float64Array,
    terms: Uint32Array,
    weights: Float32Array,
    k: number,
    algorithm: string,
    cancellation?: Cancellation,
  ): Promise<{ ends: Float64Array; documents: Uint32Array; scores: Float32Array; ids: string[] }>;
  close(): void;
}

interface NativeIndexClass {
  open(directory: string): Promise<NativeIndex>;
}

/** Texts one after the other: text `b` is `tokens[offsets[b]..offsets[b + 1])`, [CLS] and [SEP] included. */
export interface NativeTexts {
  tokens: Int32Array;
  offsets: Int32Array;
}

export interface NativeTrainerOptions {
  /** Of the dropout masks and of weights that begin at random: 0..2^31-1. */
  seed: number;
  /** Probability that a hidden value is dropped, and an attention probability: 0 or more, less than 1. */
  dropout: number;
  attentionDropout: number;
  /** Of the matrix products; weights, gradients and moments are float32. */
  dtype: 'float32' | 'bfloat16';
  /** `mean` and `cls` train a dense encoder, whose source has no head. */
  pooling: Pooling | DensePooling;
  /** `bag`: a query is weight 1 for each distinct token; it does not go through the network. */
  queryKind: 'encoder' | 'bag';
  /** Terms that no vector holds. */
  dropped: Int32Array;
  /** Tokens that a bag query leaves out: [CLS], [SEP] and whatever else is no word piece. */
  bagDropped: Int32Array;
  /** Most tokens that go through the network together; a longer text goes alone. */
  microBatchTokens: number;
  /** How many layers, the last ones, keep their activations for the backward pass; the others compute them again. */
  keptLayers: number;
  /** Which tensors may be absent from the source and begin at random. */
  initialize: 'none' | 'head' | 'all';
}

/** One step: Q queries and D documents, each document drawn for one query. */
export interface NativeTrainingBatch {
  queries: NativeTexts;
  documents: NativeTexts;
  /** (Q) the document that answers each query. */
  positives: Int32Array;
  /** (D) the query that each document was drawn for. */
  owners: Int32Array;
  /** (D) the first document of the step that is the same, or itself. */
  duplicates: Int32Array;
  /**
   * (E, 2) pairs of a query and a document, not its positive, that does not compete for it in `infoNCE`, `klDivergence`
   * and `ranking`; absent: none.
   */
  excluded?: Int32Array;
  /** (Q, D) a teacher's scores; NaN where it has none. */
  teacherScores?: Float32Array;
  /** A teacher's sparse vectors. */
  teacherQueries?: NativeSparseRows;
  teacherDocuments?: NativeSparseRows;
}

export type LossTerm =
  | 'infoNCE'
  | 'flopsDocuments'
  | 'flopsQueries'
  | 'antiCollapse'
  | 'antiZero'
  | 'marginMSE'
  | 'klDivergence'
  | 'ranking'
  | 'vocabularyMSE'
  | 'vocabularyCosine';

export interface NativeFlops {
  norm: 'L1' | 'L2';
  /** (V) factor of each term's mean, inside the square: IDF-aware and DF-FLOPS. */
  termWeights?: Float32Array;
  /** Only texts with more terms than this are penalised (the l0 mask); 0: all. */
  minimumTerms: number;
}

/** The objective of a step; docs/training.md has the formulas. */
export interface NativeObjective {
  /** Terms that are absent, or 0, are not computed. */
  weights: { [term in LossTerm]?: number };
  similarity: 'dot' | 'cos';
  /** Documents that compete in `infoNCE` and `ranking`: all of the step, or those drawn for the query. */
  negatives: 'all' | 'own';
  /** Divides similarities in `infoNCE`. */
  temperature: number;
  /** Divide similarities, and the teacher's scores, in `klDivergence` and `ranking`. */
  distillationTemperature: number;
  teacherTemperature: number;
  flopsDocuments: NativeFlops;
  flopsQueries: NativeFlops;
  antiCollapse: { k: number; margin: number };
}

/** AdamW with clipping by the global norm. */
export interface NativeUpdate {
  rate: number;
  weightDecay: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  /** Largest norm of the gradient; 0: not clipped. */
  clip: number;
}

export interface NativeLosses {
  /** Sum of weight times value. */
  loss: number;
  /** `gradientNorm`: of the weighted term by the pooled logits of the step. */
  terms: { [term in LossTerm]?: { value: number; weight: number; gradientNorm: number } };
  /** Number of weights above 0 in all documents, and in all queries. */
  documentTerms: number;
  queryTerms: number;
  /** (V) documents, and queries, with a weight above 0 for the term. */
  documentFrequencies: Int32Array;
  queryFrequencies: Int32Array;
  /**
   * Bytes held for the head alone: matrices of a row a text and a column a term. Pooled values and weights are in the memory of
   * the gradients where that suffices.
   */
  headBytes: number;
}

export interface NativeUpdateReport {
  /** Of all parameters, before clipping. */
  gradientNorm: number;
  /** The gradient is 0 everywhere: weights and moments stay as they are. */
  problem: '' | 'ERR_GRADIENT_VANISHED';
  /** Updates done since the first. */
  steps: number;
  /** Bytes of all memory that the trainer holds. */
  bytes: number;
}

/** Seconds of a step by part; together they are all of it. */
export interface NativeSeconds {
  forward: number;
  head: number;
  losses: number;
  recompute: number;
  headBackward: number;
  backward: number;
  update: number;
}

export type NativeStepReport = NativeLosses & NativeUpdateReport & { seconds: NativeSeconds };

/** A step of masked language modelling. */
export interface NativeMaskedBatch extends NativeTexts {
  /** (T) the token to predict at each position, or -1. */
  labels: Int32Array;
}

export interface NativeMaskedReport extends NativeUpdateReport {
  /** Mean cross-entropy over the positions with a label. */
  loss: number;
  predictions: number;
  /** Share of the positions where the label has the largest logit. */
  accuracy: number;
  headBytes: number;
  seconds: NativeSeconds;
}

export interface NativeTrainer {
  /** Name of the backend that computes. */
  readonly device: string;
  /** Updates done, those before a loaded state included. */
  readonly steps: number;
  /** Every parameter, by its canonical name; `offset`: of its first value in `gradients`. */
  readonly tensors: { name: string; shape: number[]; offset: number; decays: boolean }[];
  /** One step. With ERR_LOSS_NOT_FINITE or a cancellation, weights and moments stay as they are. */
  step(
    batch: NativeTrainingBatch,
    objective: NativeObjective,
    update: NativeUpdate,
    cancellation?: Cancellation,
  ): Promise<NativeStepReport>;
  stepMaskedLanguageModel(
    batch: NativeMaskedBatch,
    update: NativeUpdate,
    cancellation?: Cancellation,
  ): Promise<NativeMaskedReport>;
  /**
   * The phases of a step that several workers share: each encodes its texts, one takes the losses over all of them,
   * each goes backward through its own, and each updates with the sum of the gradients. `textIds` are the numbers of
   * the texts in the step, queries first; with bag queries there are documents alone.
   */
  encode(texts: NativeTexts, textIds: Int32Array, cancellation?: Cancellation): Promise<Float32Array>;
  /** `pooled`: what `encode` gave, all texts by their numbers; `gradients` is like it. */
  losses(
    batch: NativeTrainingBatch,
    objective: NativeObjective,
    pooled: Float32Array,
  ): Promise<NativeLosses & { gradients: Float32Array }>;
  /** Of the texts last encoded; begins a new gradient. */
  backward(gradients: Float32Array, cancellation?: Cancellation): Promise<void>;
  /** The gradient by all parameters, one tensor after the other, with zeros between some; 0 after `encode` and `losses`. */
  gradients(): Promise<Float32Array>;
  addGradients(gradients: Float32Array): Promise<void>;
  update(update: NativeUpdate): Promise<NativeUpdateReport>;
  /** Takes a finite number from the bias of every term. */
  lowerBias(by: number): Promise<void>;
  /**
   * Writes a safetensors file, whole or not at all: `header`, then the values of `parts` in order, each
   * `weights/NAME`, `gradients/NAME`, `first/NAME` or `second/NAME`.
   */
  save(path: string, header: string, parts: string[]): Promise<void>;
  /** Reads weights and moments, tensors named as the parts of `save`, and sets the number of updates done. */
  load(files: string[], tensors: TensorPlace[], steps: number): Promise<void>;
  dispose(): void;
}

interface NativeTrainerClass {
  create(source: NativeModelSource, options: NativeTrainerOptions): Promise<NativeTrainer>;
}

function load(): Native {
  let addon: Native;
  try {
    addon = nodeGypBuild(join(__dirname, '..')) as Native;
  } catch (error) {
    throw new FlesError(
      'ERR_ADDON_MISSING',
      `the native addon did not load: ${messageOf(error).split('\n')[0]}; run "npm rebuild fles" (or "npm run build" in a clone)`,
      { cause: error },
    );
  }
  addon.initialize(FlesError);
  return addon;
}

/** The native core, loaded once. */
export const native: Native = load();

/** Runs `call` with a cancellation that fires when `signal` aborts; its rejection is then the signal's reason. */
export async function cancellable<T>(
  signal: AbortSignal | undefined,
  call: (cancellation: Cancellation | undefined) => Promise<T>,
): Promise<T> {
  if (signal === undefined) return call(undefined);
  signal.throwIfAborted();
  const cancellation = new native.Cancellation();
  const cancel = () => cancellation.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    return await call(cancellation);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}
