import type { ModelSpec } from '../model/spec';
import type { Cancellation, NativeTrainer, NativeUpdate } from '../native';
import type { Tokenizer } from '../text/tokenizer';
import type { ClfrMeasurement, Lambdas } from './clfr';
import type { TrainConfig } from './config';
import type { StepLine } from './run-log';

/** What a task works with. */
export interface TaskContext {
  config: TrainConfig;
  spec: ModelSpec;
  tokenizer: Tokenizer;
  signal?: AbortSignal;
  /** What `state` was when the checkpoint was written that the run goes on from. */
  state?: unknown;
}

/** What one step has done. */
export interface StepOutcome {
  examples: number;
  loss: number;
  terms: StepLine['terms'];
  /** Absent where no terms are counted. */
  measurement?: Omit<ClfrMeasurement, 'step'>;
  accuracy?: number;
  gradientNorm: number;
  vanished: boolean;
  seconds: Record<string, number>;
  bytes: number;
  headBytes: number;
}

/** What a model learns: which texts a step has, and what is done with them. */
export interface Task {
  readonly stepsPerEpoch: number;
  /** What a person should know about the data. */
  readonly notes: readonly string[];
  /** Where the next step stands behind the last one that was done; JSON. */
  readonly state: unknown;
  /** Epoch of the next step, from 0, with what is done of it as its fraction. */
  readonly epoch: number;
  /** Before the first step of a run that does not go on from a checkpoint; what a person should know of it. */
  begin(trainer: NativeTrainer): Promise<string[]>;
  step(
    trainer: NativeTrainer,
    update: NativeUpdate,
    lambdas: Lambdas,
    cancellation?: Cancellation,
  ): Promise<StepOutcome>;
  close(): Promise<void>;
}
