import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { show } from '../check';
import { FlesError } from '../errors';
import type { ModelSpec } from '../model/spec';
import type { ClfrState } from './clfr';
import { TRAIN_SCHEMA, type TrainConfig } from './config';
import { readFileIfThere, TOKENIZER_FILES } from './model-folder';
import type { EvaluationLine } from './run-log';
import { fields } from './schema';
import type { WindowState } from './window';

/** What a checkpoint holds besides weights, moments and the number of steps. */
export interface RunContent {
  config: TrainConfig;
  /** `fingerprintOf` the model that the run began with. */
  model: string;
  /** Updates of the weights: steps less those without a gradient. */
  updates: number;
  /** The task's own: where its data stand. */
  task: unknown;
  clfr: ClfrState;
  /** The line of the log that is not written yet. */
  window: WindowState;
  /** Mean terms in the last line. */
  nnz: { documents: number; queries: number } | null;
  best: EvaluationLine | null;
  /** The latest evaluation; absent from checkpoints of earlier builds. */
  last?: EvaluationLine | null;
  /** Whether the evaluation of the last step is still to be done. */
  evaluationDue: boolean;
  /** Steps in a row without a gradient. */
  vanished: number;
  /** The loops whose lambda was at a bound when they last decided. */
  clamped: ('documents' | 'queries')[];
}

/** Keys that the steps of a run do not depend on; `evaluation.leaks` decides which examples it has. */
const FREE = /^(output|evaluation\.(?!leaks).*|checkpoint\..*|log\..*)$/;
/** Those by which one evaluation can be told from another. */
const JUDGED_BY = ['data', 'split', 'metric', 'maxLength'] as const;

/** What a checkpoint holds for a run with this configuration: what was best by other judgements is not the best by these. */
export function underConfig(content: RunContent, config: TrainConfig): RunContent {
  const same = JUDGED_BY.every((key) => content.config.evaluation[key] === config.evaluation[key]);
  return { ...content, config, ...(!same && { best: null, last: null }) };
}

/**
 * Hash of what a run needs of its model besides the weights, which a checkpoint has: the sizes of the network and the tokenizer.
 * Throws `ERR_FILE_*`.
 */
export async function fingerprintOf(spec: ModelSpec): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([spec.architecture, spec.config]));
  for (const name of TOKENIZER_FILES) {
    const text = await readFileIfThere(join(spec.networkDirectory, name));
    hash.update(JSON.stringify([name, text ?? null]));
  }
  return hash.digest('hex');
}

/** Refuses to go on with another model. Throws `ERR_RESUME_MISMATCH`. */
export function checkSameModel(model: string, earlier: string, { model: name }: TrainConfig, output: string): void {
  if (model === earlier) return;
  throw new FlesError(
    'ERR_RESUME_MISMATCH',
    `the run in ${output} began with another tokenizer or network than ${name} has now; ` +
      'put the model back as it was (or name the revision), or choose another output',
  );
}

/** Refuses to go on with another configuration. Throws `ERR_RESUME_MISMATCH` naming the keys. */
export function checkSameRun(config: TrainConfig, earlier: TrainConfig, output: string): void {
  const different = [...fields(TRAIN_SCHEMA)]
    .map(([key]) => ({ key, before: valueAt(earlier, key), now: valueAt(config, key) }))
    .filter(({ key, before, now }) => !FREE.test(key) && JSON.stringify(before) !== JSON.stringify(now));
  if (different.length === 0) return;
  const list = different.map(({ key, before, now }) => `${key} was ${show(before)}, is ${show(now)}`);
  throw new FlesError(
    'ERR_RESUME_MISMATCH',
    `the run in ${output} has another configuration: ${list.join('; ')}; resume with the same, or choose another output`,
  );
}

function valueAt(config: object, key: string): unknown {
  return key.split('.').reduce<unknown>((part, step) => (part as Record<string, unknown>)[step], config);
}
