// Training data: sources of examples, and the steps made of them.
export type { Batch, BatchOptions, BatchState, BatchStream } from './batch';
export { type BatchTokenizer, type StreamOptions, streamBatches } from './batcher';
export { joinPairs, withoutExamples } from './joined-pairs';
export {
  findLeaks,
  guardAgainstLeaks,
  type LeakAction,
  type LeakCount,
  type LeakKind,
  type LeakOptions,
  type LeakReport,
  readTestSet,
  type TestSet,
} from './leaks';
export { type FoundDocument, type MinedExample, type MineOptions, mineNegatives, type Search } from './mine';
export { type OpenPairsOptions, openPairs } from './open-pairs';
export type { DocumentPool, PairSource, TrainingExample, TrainingText } from './pair-source';
export { bm25Search, encoderSearch, type MineSearchOptions, type OpenSearch, runSearch } from './searches';
