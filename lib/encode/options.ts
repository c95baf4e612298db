import { checkBoolean, checkChoice, checkInteger, checkKeys, checkNumber } from '../check';
import { checkDevice, type Device } from '../device';
import type { DownloadProgress } from '../model/hub';
import type { DensePooling, Pooling, QueryKind } from '../model/spec';

export type VectorKind = 'query' | 'document';
export type DataType = (typeof DATA_TYPES)[number];

/** What is kept of a text and of its vector. */
export interface Cut {
  /** Keeps weights above it, unshifted (`w > threshold`); 0 or more. Default 0. */
  threshold?: number;
  /** Keeps this many terms at most, the heaviest; the lowest term id wins a tie. Default: all. */
  topK?: number;
  /** Tokens read of a text, [CLS] and [SEP] included; 2 up to the model's positions. Default: what the model says. */
  maxLength?: number;
}

export interface FromPretrainedOptions {
  /** Branch, tag or commit of a hub model. Default `main`. */
  revision?: string;
  /** Access token of the hub. Default: `HF_TOKEN`, else the token that `hf auth login` stored. */
  token?: string;
  /** Folder of the hub cache. Default: `HF_HUB_CACHE`, else `hub` in `HF_HOME`. */
  cacheDir?: string;
  /** Never use the network. Default: `HF_HUB_OFFLINE`. */
  offline?: boolean;
  /** Called while files of a hub model download. */
  onProgress?(progress: DownloadProgress): void;
  signal?: AbortSignal;
  /** Where to compute. `auto` is the first CUDA device where there is one, else the CPU; `cuda:1` is the second. */
  device?: Device;
  /**
   * Arithmetic of the matrix products; sums are exact or float32. `bfloat16` halves and `int8` quarters the weights; both are
   * faster where the processor has instructions for them (docs/performance.md). Default `float32`.
   */
  dtype?: DataType;
  /** What comes out. Default: what the folder says, sparse when it has a masked-language-model head. */
  mode?: 'sparse' | 'dense';
  pooling?: Pooling;
  denseMode?: { pooling?: DensePooling; normalize?: boolean };
  queryKind?: QueryKind;
  /** Cuts of every document, and of every query, unless the call says otherwise. */
  document?: Cut;
  query?: Cut;
}

export interface EncodeOptions extends Cut {
  /** Default `document`. Matters where the model encodes queries in another way, or cuts are set by kind. */
  kind?: VectorKind;
  /** Drops [CLS], [SEP], [PAD], [MASK] and [UNK] from the vectors. Default false. */
  dropSpecialTokens?: boolean;
  /** Texts computed together at most. Vectors do not depend on it. Default 32. */
  batchSize?: number;
  signal?: AbortSignal;
  /** Called with the number of texts done; `total` is not known for a stream. */
  onProgress?(done: number, total: number | undefined): void;
}

/** EncodeOptions with everything filled in. */
export interface ResolvedOptions {
  kind: VectorKind;
  threshold: number;
  topK: number;
  maxLength: number;
  dropSpecialTokens: boolean;
  batchSize: number;
  signal: AbortSignal | undefined;
  onProgress: ((done: number, total: number | undefined) => void) | undefined;
}

export const DATA_TYPES = ['float32', 'bfloat16', 'int8'] as const;

const CUT_KEYS = ['threshold', 'topK', 'maxLength'] as const;
const ENCODE_KEYS = [...CUT_KEYS, 'kind', 'dropSpecialTokens', 'batchSize', 'signal', 'onProgress'] as const;
const PRETRAINED_KEYS = [
  'revision',
  'token',
  'cacheDir',
  'offline',
  'onProgress',
  'signal',
  'device',
  'dtype',
  'mode',
  'pooling',
  'denseMode',
  'queryKind',
  'document',
  'query',
] as const;

/** Sizes that bound the options of one model. */
export interface ModelLimits {
  vocabularySize: number;
  maxPositions: number;
  maxLength: number;
}

export function checkPretrainedOptions(options: FromPretrainedOptions, limits?: ModelLimits): void {
  checkKeys(options, PRETRAINED_KEYS);
  checkDevice(options.device ?? 'auto');
  checkChoice('dtype', options.dtype ?? 'float32', DATA_TYPES);
  for (const cut of [options.document, options.query]) {
    if (cut === undefined) continue;
    checkKeys(cut, CUT_KEYS);
    if (limits) resolveOptions({ ...cut }, limits, {});
  }
}

/** Checks the options of one call and fills in what they leave open, from the cuts of their kind and from the model. */
export function resolveOptions(
  options: EncodeOptions,
  limits: ModelLimits,
  cuts: { document?: Cut; query?: Cut },
): ResolvedOptions {
  checkKeys(options, ENCODE_KEYS);
  const kind = checkChoice('kind', options.kind ?? 'document', ['query', 'document']);
  const cut = cuts[kind] ?? {};
  const topK = options.topK ?? cut.topK;
  return {
    kind,
    threshold: checkNumber('threshold', options.threshold ?? cut.threshold ?? 0, 0, 3.4e38),
    topK: topK === undefined ? 0 : checkInteger('topK', topK, 1, limits.vocabularySize),
    maxLength: checkInteger(
      'maxLength',
      options.maxLength ?? cut.maxLength ?? limits.maxLength,
      2,
      limits.maxPositions,
    ),
    dropSpecialTokens: checkBoolean('dropSpecialTokens', options.dropSpecialTokens) ?? false,
    batchSize: checkInteger('batchSize', options.batchSize ?? 32, 1, 4096),
    signal: options.signal,
    onProgress: options.onProgress,
  };
}
