import { readdir, rm, rmdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { checkBoolean, checkKeys } from '../check';
import { FlesError } from '../errors';
import { makeDirectory } from '../make-directory';
import { type ResolveOptions, resolveModel } from '../model/hub';
import { withLock } from '../model/lock';
import { readModel } from '../model/model';
import type { ModelSpec } from '../model/spec';
import { type NativeTrainer, native } from '../native';
import { outputError, writeTextFile } from '../text/output-file';
import { Tokenizer } from '../text/tokenizer';
import { loadCheckpoint } from './checkpoint';
import { makeConfig, type TrainConfig, type TrainConfigChanges } from './config';
import { Evaluation } from './evaluation';
import { MlmTask } from './mlm-task';
import { TOKENIZER_FILES } from './model-folder';
import { poolingOf } from './model-kind';
import { checkSameModel, checkSameRun, fingerprintOf, type RunContent } from './resume';
import { RetrievalTask } from './retrieval-task';
import { METRICS_FILE, RunLog } from './run-log';
import type { Task } from './task';
import { EVENT_FILE_PREFIX } from './tensorboard';
import { CHECKPOINTS, TrainingRun, type TrainProgress, type TrainResult } from './training-run';

export type { TrainProgress, TrainResult } from './training-run';

export interface TrainOptions extends Pick<ResolveOptions, 'onProgress' | 'signal'> {
  /** Go on from the last checkpoint in the output folder; begins anew where there is none. */
  resume?: boolean;
  /** Called after every step. */
  onStep?(progress: TrainProgress): void;
  /** Told what a person should know: a lambda at its bound, a checkpoint that was refused. */
  onNote?(text: string): void;
}

const RUN_KEYS = ['resume', 'onStep', 'onNote', 'onProgress', 'signal'] as const satisfies (keyof TrainOptions)[];

/** How long a run waits for another one in its folder that is about to end. */
const PATIENCE_MS = 1000;

/**
 * Trains a model.
 *
 * The output folder becomes a Hugging Face folder that transformers, sentence-transformers and `FLES1Encoder` load, with the
 * best model of the evaluations in `best`, the latest checkpoints in `checkpoints`, and the log in `metrics.jsonl` and
 * TensorBoard's event files.
 */
export class Trainer {
  readonly config: TrainConfig;

  /**
   * @param config a whole configuration, or what of it differs from the defaults or from a preset
   * @param preset name of a preset
   * @throws FlesError as `makeConfig`
   */
  constructor(config: TrainConfigChanges, preset?: string) {
    this.config = makeConfig(preset, { source: 'the configuration', changes: config });
  }

  /**
   * Runs to the end, or until `signal` aborts: then a checkpoint is saved and the signal's reason thrown, or what kept the
   * checkpoint from being saved. The same run resumed ends with the same bits as one that never stopped.
   *
   * @throws FlesError `ERR_OPTION_UNKNOWN`, `ERR_OPTION_VALUE`, `ERR_OUTPUT_EXISTS`, `ERR_OUTPUT_BUSY`, `ERR_RESUME_MISMATCH`,
   *   `ERR_CHECKPOINT_DAMAGED`, `ERR_CONFIG_CONFLICT`,
   *   `ERR_LOSS_NOT_FINITE`, `ERR_GRADIENT_VANISHED`, `ERR_DISK_FULL`; what reading models and data throws. docs/training.md
   */
  async run(options: TrainOptions = {}): Promise<TrainResult> {
    checkKeys(options, RUN_KEYS);
    checkBoolean('resume', options.resume);
    const output = resolve(this.config.output);
    const isNew = !(await stat(output).catch(() => undefined));
    await makeDirectory(output);
    const patience = AbortSignal.timeout(PATIENCE_MS);
    const signal = AbortSignal.any([patience, ...(options.signal ? [options.signal] : [])]);
    let held = false;
    try {
      return await withLock(join(output, '.lock'), signal, () => {
        held = true;
        return this.#run(output, options);
      });
    } catch (error) {
      // It goes when it is empty alone.
      if (isNew) await rmdir(output).catch(() => undefined);
      if (held) throw error;
      if (error === patience.reason) {
        throw new FlesError('ERR_OUTPUT_BUSY', `another run writes to ${output}; wait for its end, or choose another`);
      }
      throw await outputError(error, output);
    }
  }

  async #run(output: string, options: TrainOptions): Promise<TrainResult> {
    const { config } = this;
    const { signal, onProgress } = options;
    if (!options.resume) await checkFresh(output, isOfRun);
    await removeLeftovers(output);
    const directory = await resolveModel(config.model, { signal, onProgress });
    const spec = await readModel(directory, config.task === 'retrieval' ? { mode: config.network.mode } : {});
    checkAgainstModel(config, spec, output);
    const tokenizer = await Tokenizer.load(spec.networkDirectory, { vocabularySize: spec.config.vocabularySize });
    const { cls, sep, pad } = tokenizer.special;
    const bagDropped = [cls, sep, pad].filter((id) => id !== undefined);
    const evaluation = await Evaluation.open(config);

    const notes: string[] = [];
    const checkpoint = options.resume
      ? await loadCheckpoint<RunContent>(join(output, CHECKPOINTS), (error) => notes.push(error.message))
      : undefined;
    const model = await fingerprintOf(spec);
    if (checkpoint) {
      checkSameRun(config, checkpoint.content.config, output);
      checkSameModel(model, checkpoint.content.model, config, output);
    } else if (options.resume) {
      // A run that was stopped before its first checkpoint may have left all but a model.
      const own = (await readdir(output)).includes(RUN_FILE);
      await checkFresh(output, own ? isOfModel : isOfRun);
    }
    const context = { config, spec, tokenizer, signal, state: checkpoint?.content.task };
    const task: Task = config.task === 'mlm' ? await MlmTask.open(context) : await RetrievalTask.open(context);
    let trainer: NativeTrainer | undefined;
    let log: RunLog | undefined;
    try {
      trainer = await createTrainer(config, spec, bagDropped);
      if (checkpoint) {
        const { path, tensors } = checkpoint.state;
        const places = [...tensors.values()].map(({ name, shape, offset }) => {
          return { name, shape, offset, file: 0, dtype: 'F32' as const };
        });
        await trainer.load([path], places, checkpoint.content.updates);
      } else notes.push(...(await task.begin(trainer)));
      await writeTextFile(join(output, RUN_FILE), [`${JSON.stringify(config, undefined, 2)}\n`]);
      log = await RunLog.open(output, checkpoint?.step ?? 0);
      if (log.lost) notes.push(`metrics.jsonl is gone: the log begins anew behind step ${checkpoint!.step}`);
      const run = new TrainingRun(
        { config, output, spec, model, task, trainer, bagDropped, log, evaluation },
        checkpoint,
        options,
      );
      for (const note of [...notes, ...task.notes]) await run.note(note);
      return await run.run();
    } finally {
      trainer?.dispose();
      await Promise.all([log?.close(), task.close()]);
    }
  }
}

/** The configuration of a run, which is there before its first step. */
const RUN_FILE = 'train-config.json';
/** Files of a model, and all others that a run writes. */
const MODEL_FILES = /^(config\.json|modules\.json|.*\.safetensors(\.index\.json)?)$/;
/** Folders in which a run writes files too. */
const BELOW: readonly string[] = [
  'best',
  '1_SpladePooling',
  '1_Pooling',
  'document_0_MLMTransformer',
  'query_0_SparseStaticEmbedding',
];
const OTHERS = new Set([
  ...BELOW,
  ...TOKENIZER_FILES,
  'sentence_bert_config.json',
  'config_sentence_transformers.json',
  'router_config.json',
  'README.md',
  CHECKPOINTS,
  METRICS_FILE,
  RUN_FILE,
  'report.html',
]);

const isOfModel = (name: string) => MODEL_FILES.test(name);
const isOfRun = (name: string) => isOfModel(name) || OTHERS.has(name) || name.startsWith(EVENT_FILE_PREFIX);

/** Removes what a run that was killed has left half written. */
async function removeLeftovers(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (LEFTOVER.test(entry.name)) await rm(path, { recursive: true, force: true });
    else if (entry.isDirectory() && BELOW.includes(entry.name)) await removeLeftovers(path);
  }
}

/** Refuses a folder that holds a model or a run already. */
async function checkFresh(output: string, isTaken: (name: string) => boolean): Promise<void> {
  const names = await readdir(output);
  const taken = names.find(isTaken);
  if (taken !== undefined) {
    throw new FlesError(
      'ERR_OUTPUT_EXISTS',
      `${output} holds ${taken} already; resume that run (--resume), or choose another output`,
    );
  }
}

/** Of an index, a model to be evaluated, and files before they get their names. */
const LEFTOVER = /^(\.lock\.takeover|\.index-\w{6}|\.candidate|\..+\.[0-9a-f]{12}\.tmp|model\.safetensors\.tmp)$/;

/** Refuses what only the model shows to be wrong. */
function checkAgainstModel(config: TrainConfig, spec: ModelSpec, output: string): void {
  const { clfr, text, task, network, loss, evaluation } = config;
  const refuse = (message: string) => new FlesError('ERR_CONFIG_CONFLICT', message);
  const { vocabularySize, maxPositions } = spec.config;
  if (task === 'retrieval' && network.mode === 'dense' && spec.dense?.normalize && loss.similarity === 'dot') {
    throw refuse(
      'loss.similarity is "dot", but the model makes its vectors as long as 1, so that a score is a cosine; set loss.similarity=cos',
    );
  }
  if (output === spec.directory) {
    throw refuse(`output is the folder of the model, ${output}, which would be overwritten; choose another output`);
  }
  for (const key of ['queryLength', 'documentLength'] as const) {
    if (text[key] > maxPositions && (task === 'retrieval' || key === 'documentLength')) {
      throw refuse(
        `text.${key} is ${text[key]}, expected at most ${maxPositions}, the positions of the model; lower it`,
      );
    }
  }
  if (evaluation.data !== null && (evaluation.maxLength ?? 0) > maxPositions) {
    throw refuse(
      `evaluation.maxLength is ${evaluation.maxLength}, expected at most ${maxPositions}, the positions of the model; lower it`,
    );
  }
  const pooling = poolingOf(config, spec);
  if (task === 'retrieval' && network.startTerms !== null && pooling.startsWith('sum')) {
    throw refuse(
      `network.startTerms is ${network.startTerms} but the pooling is "${pooling}", whose terms are no matter of the bias alone; ` +
        'set network.startTerms=null or network.pooling=max',
    );
  }
  if (task === 'mlm' || clfr.law === 'none' || clfr.law === 'quadratic') return;
  for (const key of ['target', 'queryTarget'] as const) {
    const target = clfr[key];
    if (target !== null && target > vocabularySize) {
      throw refuse(
        `clfr.${key} is ${target}, expected at most ${vocabularySize}, the terms of the vocabulary; lower it`,
      );
    }
  }
}

/**
 * Memory that the activations of a micro-batch may take where the configuration leaves its size open, and the most tokens
 * that it may have: on the host, and on a device, of whose memory it may be this share of what the weights leave.
 */
const HOST = { bytes: 1.85e9, tokens: 16_384 };
const DEVICE = { share: 0.5, tokens: 131_072 };
/** Of a parameter: itself, its gradient and Adam's moments. */
const STATE_BYTES = 16;

function createTrainer(config: TrainConfig, spec: ModelSpec, bagDropped: readonly number[]): Promise<NativeTrainer> {
  const { network, batch } = config;
  const { layers, hiddenSize, intermediateSize } = spec.config;
  const keptLayers = network.recompute ? 0 : layers;
  // Floats of a token: the sums and the activations of each layer, and what layers share (cpp/train/network.h).
  const [C, I] = [hiddenSize, intermediateSize];
  const tokenBytes = 4 * (layers * C + Math.max(1, keptLayers) * (5 * C + I) + 5 * C + Math.max(I, 3 * C));
  const memory = native.deviceMemory(network.device);
  const parameters = spec.tensors.reduce(
    (sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1),
    0,
  );
  const left = Math.max(0, memory - STATE_BYTES * parameters);
  const most = memory > 0 ? { bytes: DEVICE.share * left, tokens: DEVICE.tokens } : HOST;
  const automatic = Math.min(most.tokens, Math.max(256, Math.floor(most.bytes / tokenBytes)));
  return native.NativeTrainer.create(
    {
      device: network.device,
      dtype: 'float32',
      config: spec.config,
      withHead: config.task === 'mlm' || network.mode === 'sparse',
      files: spec.files,
      tensors: spec.tensors,
    },
    {
      seed: config.seed % 2 ** 31,
      dropout: network.dropout,
      attentionDropout: network.attentionDropout,
      dtype: network.dtype,
      pooling: poolingOf(config, spec),
      queryKind: network.queryKind,
      dropped: new Int32Array(0),
      bagDropped: Int32Array.from(bagDropped),
      microBatchTokens: batch.microBatchTokens ?? automatic,
      keptLayers,
      initialize: config.task === 'mlm' ? 'head' : 'none',
    },
  );
}
