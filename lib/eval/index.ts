// The public names of evaluation.
export { type BeirDataset, type BeirDocument, documentText, readBeir, readTexts } from './beir';
export { type Bm25BuildOptions, type Bm25Fields, Bm25Index } from './bm25';
export { type CompareOptions, type ComparisonResult, type ComparisonRow, compare, type Phase } from './compare';
export { type EvaluateOptions, type Evaluation, evaluate } from './evaluate';
export { type DenseRows, type DenseSearchOptions, searchDense } from './exhaustive';
export { DEFAULT_METRICS } from './metrics';
export type { Qrels, Run, ScoredDocument } from './ranking';
export {
  markdownTable,
  type Provenance,
  type Report,
  reportNotes,
  type WriteComparisonOptions,
  writeComparison,
} from './report';
export {
  type Comparison,
  pairedTTest,
  type QueryValues,
  type RandomisationOptions,
  randomisationTest,
  valuesOf,
} from './significance';
export { flops, meanNnz } from './statistics';
export {
  BM25_SYSTEMS,
  type Bm25System,
  type DenseSystem,
  type EncodeCallbacks,
  type SparseSearcher,
  type SparseSearcherFactory,
  type SparseSystem,
  type System,
} from './systems';
export { readQrels, readRun, writeQrels, writeRun } from './trec';
