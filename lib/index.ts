// The public names of the package.
export { DenseMatrix } from './encode/dense-matrix';
export {
  type Cut,
  type DataType,
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
export type {
  Activation,
  DensePooling,
  ModelSpec,
  NetworkConfig,
  Pooling,
  QueryKind,
  TensorPlace,
  WeightType,
} from './model/spec';
export { SparseMatrix } from './sparse-matrix';
export { type SharedTerm, SparseVector } from './sparse-vector';
export type { LineOptions, LineSource } from './text/lines';
export { type TokenBatch, type TokenizeOptions, Tokenizer } from './text/tokenizer';
export type { SpecialTokens } from './text/vocabulary';
export { setThreads } from './threads';
export {
  CLFR_LAWS,
  type Clfr,
  type ClfrConfig,
  type ClfrDecision,
  type ClfrLaw,
  type ClfrMeasurement,
  type ClfrState,
  createClfr,
  type Lambdas,
  type RunLength,
} from './train/clfr';
export { type ConfigLayer, makeConfig, type TrainConfig, type TrainConfigChanges } from './train/config';
export { type CreateModelOptions, createModel } from './train/create-model';
export * from './train/data';
export { PRESETS, type Preset, type PresetName } from './train/presets';
export { writeTrainReport } from './train/report';
export type { EvaluationLine, LogLine, StepLine } from './train/run-log';
export { Trainer, type TrainOptions, type TrainProgress, type TrainResult } from './train/trainer';
