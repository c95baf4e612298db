import { join } from 'node:path';
import nodeGypBuild from 'node-gyp-build';
import { FlesError, messageOf } from './errors';
import type { NetworkConfig, Pooling, TensorPlace } from './model/spec';

/** What the addon exports. Each is described by a comment `// name(args): type` beside its C++ definition. */
export interface Native {
  initialize(errorClass: typeof FlesError): void;
  platform(): Platform;
  /** This machine's measured limits: float32 GFLOP/s at the chosen level and GB/s read from memory, all threads. Blocks. */
  roofline(): { gflops: number; gbytes: number };
  NativeEncoder: NativeEncoderClass;
  Cancellation: new () => Cancellation;
  NativeIndexBuilder: NativeIndexBuilderClass;
  NativeIndex: NativeIndexClass;
  /** Runs one op of the table; `device` is a backend or a CPU level such as `cpu:avx2`. Output arrays are filled in place. */
  runOp(device: string, op: string, args: object): void;
  /** The op with its arguments in the backend's memory, to be run again and again; for benchmarks. */
  prepareOp(device: string, op: string, args: object): () => void;
  opNames(): string[];
}

/** Facts about this machine and build. */
export interface Platform {
  /** Instruction set chosen for the CPU backend; `FLES_CPU` forces another. */
  cpuLevel: string;
  /** Those that this build has and this processor runs. */
  cpuLevels: string[];
  cpuFeatures: string[];
  /** Compute threads: `FLES_NUM_THREADS`, else the processors granted to this process. */
  threads: number;
  backends: { name: string; available: boolean; reason: string }[];
}

export interface NativeModelSource {
  device: string;
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
    options: { pooling: 'mean' | 'cls'; normalize: boolean },
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
  finish(destination: string, cancellation?: Cancellation): Promise<void>;
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
