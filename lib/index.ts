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
export { SparseMatrix } from './sparse-matrix';
export { type SharedTerm, SparseVector } from './sparse-vector';
