// The public names of the package.
export { DenseMatrix } from './encode/dense-matrix';
export {
  type Cut,
  type Device,
  type EncodeOptions,
  type EncoderInfo,
  FLES1Encoder,
  type FromPretrainedOptions,
  type VectorKind,
} from './encode/encoder';
export { FlesError } from './errors';
export * from './eval';
export type { BuildOptions, IndexDocument } from './index/build';
export {
  type Hit,
  type IndexBytes,
  type IndexInfo,
  InvertedIndex,
  type SearchAlgorithm,
  type SearchOptions,
} from './index/inverted-index';
export type { VectorLike } from './index/vectors';
export { type DownloadProgress, type ResolveOptions, resolveModel } from './model/hub';
export { type ModelOverrides, readModel } from './model/model';
export type { ModelSpec, NetworkConfig, Pooling, QueryKind, TensorPlace } from './model/spec';
export { SparseMatrix } from './sparse-matrix';
export { type SharedTerm, SparseVector } from './sparse-vector';
export { type TokenBatch, type TokenizeOptions, Tokenizer } from './text/tokenizer';
export * from './train/data';
