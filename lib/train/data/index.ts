// Training data: sources of examples, and the steps made of them.
export type { Batch, BatchOptions, BatchState, BatchStream } from './batch';
export type { DocumentPool, PairSource, TrainingExample, TrainingText } from './pair-source';
