import { rename, rm } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { FlesError, fileError, isFileError } from '../errors';
import type { ModelSpec } from '../model/spec';
import { cancellable, type NativeTrainer, type NativeUpdate } from '../native';
import { version } from '../version';
import { saveCheckpoint } from './checkpoint';
import { type Clfr, type ClfrDecision, createClfr, type Lambdas } from './clfr';
import type { TrainConfig } from './config';
import type { Evaluation } from './evaluation';
import { modelCard } from './model-card';
import { type ModelKind, weightsPath, writeModelFolder, writeState, writeWeights } from './model-folder';
import { modelKindOf } from './model-kind';
import { updateOf } from './objective';
import { writeTrainReport } from './report';
import { type RunContent, underConfig } from './resume';
import type { EvaluationLine, RunLog } from './run-log';
import type { StepOutcome, Task } from './task';
import { addStep, EMPTY_WINDOW, nnzOf, stepLine } from './window';

export const CHECKPOINTS = 'checkpoints';
const BEST = 'best';
const CANDIDATE = '.candidate';
/** Steps in a row without a gradient after which nothing is to be hoped for. */
const VANISHED_STEPS = 10;

/** What a run tells after every step. */
export interface TrainProgress {
  step: number;
  steps: number;
  epoch: number;
  loss: number;
  /** Values of the terms of the loss. */
  terms: Record<string, number>;
  /** Mean terms of a document and of a query in this step; absent where nothing is counted. */
  nnz?: { documents: number; queries: number };
  lambda: Lambdas;
  rate: number;
  examplesPerSecond: number;
  secondsLeft: number;
  /** What the controllers decided behind this step. */
  decisions: ClfrDecision[];
  evaluation?: EvaluationLine;
}

export interface TrainResult {
  output: string;
  /** The page with the curves; null where the log has no step: it was lost, and no step was left to do. */
  report: string | null;
  steps: number;
  /** Mean terms at the end; null where nothing is counted. */
  nnz: { documents: number; queries: number } | null;
  lambda: Lambdas;
  /** How often lambda of the documents was moved. */
  adjustments: number;
  /** Bytes that the core held at most, and those of them that the head took; null when no step was left to do. */
  memory: { total: number; head: number } | null;
  /** The evaluation that was best, if there was one; its model is in `best`. */
  best: EvaluationLine | null;
}

interface Parts {
  config: TrainConfig;
  output: string;
  spec: ModelSpec;
  /** `fingerprintOf` it. */
  model: string;
  task: Task;
  trainer: NativeTrainer;
  /** Tokens that a bag query leaves out. */
  bagDropped: readonly number[];
  log: RunLog;
  evaluation: Evaluation | undefined;
}

interface Callbacks {
  signal?: AbortSignal;
  onStep?(progress: TrainProgress): void;
  onNote?(text: string): void;
}

/** The steps of a run with everything that is open; `Trainer` opens and closes it. */
export class TrainingRun {
  readonly #parts: Parts;
  readonly #callbacks: Callbacks;
  readonly #steps: number;
  readonly #clfr: Clfr;
  #content: RunContent;
  /** Steps done, those that the last checkpoint has, and the one that is under way or was last. */
  #step: number;
  #saved: number;
  #under: number;
  #stepSeconds: number | undefined;
  #memory: TrainResult['memory'] = null;

  constructor(parts: Parts, checkpoint: { step: number; content: RunContent } | undefined, callbacks: Callbacks) {
    const { config, task } = parts;
    this.#parts = parts;
    this.#callbacks = callbacks;
    const { stepsPerEpoch } = task;
    this.#steps = config.steps ?? Math.max(1, Math.round(config.epochs * stepsPerEpoch));
    this.#clfr = createClfr(config.clfr, { steps: this.#steps, stepsPerEpoch });
    this.#step = this.#saved = this.#under = checkpoint?.step ?? 0;
    this.#content = checkpoint
      ? underConfig(checkpoint.content, config)
      : {
          config,
          model: parts.model,
          updates: 0,
          task: task.state,
          clfr: this.#clfr.start(config.loss.flops),
          window: EMPTY_WINDOW,
          nnz: null,
          best: null,
          last: null,
          evaluationDue: false,
          vanished: 0,
          clamped: [],
        };
  }

  /** All steps from where the run stands, then the trained model. */
  async run(): Promise<TrainResult> {
    const { config, output, log } = this.#parts;
    const resumed = this.#step > 0;
    const run = {
      kind: 'run',
      step: this.#step,
      time: now(),
      steps: this.#steps,
      resumed,
      config,
      fles: version,
    } as const;
    let report: string | null;
    try {
      await log.write(run);
      await this.#noteIdleControl();
      if (this.#content.evaluationDue && this.#parts.evaluation) await this.#evaluate();
      while (this.#step < this.#steps) await this.#next();
      await this.#writeModel(output);
      report = await this.#writeReport();
    } catch (error) {
      throw this.#explained(await this.#saveInterrupted(error));
    }
    return {
      output,
      report,
      steps: this.#step,
      nnz: this.#content.nnz,
      lambda: this.#lambdas(this.#step),
      adjustments: this.#content.clfr.adjustments,
      memory: this.#memory,
      best: this.#content.best,
    };
  }

  /** Tells a person, and the log. */
  async note(text: string): Promise<void> {
    this.#callbacks.onNote?.(text);
    await this.#parts.log.write({ kind: 'note', step: this.#step, time: now(), text });
  }

  async #next(): Promise<void> {
    const { config, task, trainer, log } = this.#parts;
    const { signal } = this.#callbacks;
    const step = this.#step + 1;
    this.#under = step;
    const update = updateOf(config, step, this.#steps);
    const lambda = this.#lambdas(step);
    const begin = performance.now();
    const outcome = await cancellable(signal, (cancellation) => task.step(trainer, update, lambda, cancellation));
    const elapsed = (performance.now() - begin) / 1000;
    this.#stepSeconds = this.#stepSeconds === undefined ? elapsed : 0.95 * this.#stepSeconds + 0.05 * elapsed;
    this.#step = step;
    this.#memory = {
      total: Math.max(this.#memory?.total ?? 0, outcome.bytes),
      head: Math.max(this.#memory?.head ?? 0, outcome.headBytes),
    };

    const decisions = this.#control(outcome);
    for (const decision of decisions) await log.write({ kind: 'clfr', time: now(), ...decision });
    await this.#noteClamps(decisions);
    await this.#addToLog(outcome, elapsed, update, lambda);
    this.#checkGradient(outcome);
    this.#content = { ...this.#content, evaluationDue: this.#evaluatesNow() };
    const evaluation = this.#content.evaluationDue ? await this.#evaluateOrSave() : undefined;
    if (step % config.checkpoint.every === 0 || step === this.#steps) await this.#save();
    this.#report(outcome, { lambda, update, elapsed, decisions, evaluation });
  }

  #lambdas(step: number): Lambdas {
    return this.#clfr.lambdas(this.#content.clfr, step);
  }

  #control({ measurement }: StepOutcome): ClfrDecision[] {
    const { state, decisions } = measurement
      ? this.#clfr.update(this.#content.clfr, { step: this.#step, ...measurement })
      : { state: this.#content.clfr, decisions: [] };
    const { task, trainer } = this.#parts;
    this.#content = { ...this.#content, updates: trainer.steps, task: task.state, clfr: state };
    return decisions;
  }

  /** A loop whose first interval ends with the run, or never, controls nothing. */
  async #noteIdleControl(): Promise<void> {
    const { task, clfr } = this.#parts.config;
    if (task === 'mlm' || this.#clfr.interval === null || this.#clfr.interval < this.#steps) return;
    await this.note(
      `clfr.law is "${clfr.law}", but the run has ${this.#steps} steps and an interval ${this.#clfr.interval}: lambda never moves; ` +
        'lower clfr.interval or train longer',
    );
  }

  /** A note when lambda comes to a bound, not each time that it stays there. */
  async #noteClamps(decisions: ClfrDecision[]): Promise<void> {
    if (decisions.length === 0) return;
    const before = this.#content.clamped;
    const clamped = decisions.filter((decision) => decision.clamped !== null);
    this.#content = { ...this.#content, clamped: clamped.map(({ of }) => of) };
    for (const { of, clamped: bound, after, value, target, measure } of clamped) {
      if (before.includes(of)) continue;
      const key = bound === 'max' ? 'clfr.lambdaMax' : 'clfr.lambdaMin';
      await this.note(
        `step ${this.#step}: lambda of the ${of} is at ${key}, ${after}; ${measure} is ${value.toPrecision(4)}, its target ${target}`,
      );
    }
  }

  async #addToLog(outcome: StepOutcome, elapsed: number, { rate }: NativeUpdate, lambda: Lambdas): Promise<void> {
    const { config, task, log } = this.#parts;
    const window = addStep(this.#content.window, outcome, elapsed);
    const ends = this.#step % config.log.every === 0 || this.#step === this.#steps;
    if (ends) await log.write(stepLine(window, { step: this.#step, epoch: task.epoch, rate, lambda }));
    this.#content = {
      ...this.#content,
      window: ends ? EMPTY_WINDOW : window,
      nnz: ends && window.counts ? nnzOf(window.counts) : this.#content.nnz,
    };
  }

  #checkGradient({ vanished }: StepOutcome): void {
    const count = vanished ? this.#content.vanished + 1 : 0;
    this.#content = { ...this.#content, vanished: count };
    if (count < VANISHED_STEPS) return;
    throw new FlesError(
      'ERR_GRADIENT_VANISHED',
      `step ${this.#step}: the gradient was 0 in the last ${VANISHED_STEPS} steps, the model learns nothing any more`,
    );
  }

  #evaluatesNow(): boolean {
    const { config, task, evaluation } = this.#parts;
    const { every } = config.evaluation;
    const interval = every === 'epoch' ? task.stepsPerEpoch : every;
    return evaluation !== undefined && (this.#step % interval === 0 || this.#step === this.#steps);
  }

  /** Whatever an evaluation fails of, the steps before it are not lost. */
  async #evaluateOrSave(): Promise<EvaluationLine> {
    try {
      return await this.#evaluate();
    } catch (error) {
      if (!this.#callbacks.signal?.aborted) await this.#save().catch(() => undefined);
      throw error;
    }
  }

  async #evaluate(): Promise<EvaluationLine> {
    const { output, config, log } = this.#parts;
    const { signal } = this.#callbacks;
    const candidate = join(output, CANDIDATE);
    try {
      await this.#writeModel(candidate);
      const found = await this.#parts.evaluation!.run(candidate, output, signal);
      const { metric } = config.evaluation;
      const bestSoFar = this.#content.best?.metrics[metric] ?? Number.NEGATIVE_INFINITY;
      const best = found.metrics[metric]! > bestSoFar;
      const line = { kind: 'evaluation', step: this.#step, time: now(), ...found, best } as const;
      const before = this.#content;
      try {
        // The card of a model tells of its own evaluation.
        this.#content = { ...before, last: line, best: best ? line : before.best };
        if (best) await this.#keepBest(candidate);
        await log.write(line);
      } catch (error) {
        // It is to be done again: nothing may say that there is a best model which is not in its folder.
        this.#content = before;
        throw error;
      }
      this.#content = { ...this.#content, evaluationDue: false };
      return line;
    } finally {
      await rm(candidate, { recursive: true, force: true });
    }
  }

  /** Everything in the folder of the best model but the weights and the card is always the same. */
  async #keepBest(candidate: string): Promise<void> {
    const best = join(this.#parts.output, BEST);
    const kind = await this.#writeFolder(best);
    const to = weightsPath(best, kind);
    await rename(weightsPath(candidate, kind), to).catch((error) => {
      throw fileError(error, to);
    });
  }

  async #writeModel(directory: string): Promise<void> {
    const { trainer, spec } = this.#parts;
    const kind = await this.#writeFolder(directory);
    await writeWeights(weightsPath(directory, kind), trainer, spec);
  }

  /** All but the weights. */
  async #writeFolder(directory: string): Promise<ModelKind> {
    const { config, spec, output, bagDropped } = this.#parts;
    const { text, task } = config;
    const { nnz, best, last } = this.#content;
    const evaluation = directory === join(output, BEST) ? best : last;
    const card = modelCard({
      name: basename(output),
      config,
      fromHub: spec.directory !== resolve(config.model),
      steps: this.#step,
      ...(nnz && { nnz }),
      lambda: this.#lambdas(this.#step).documents,
      adjustments: this.#content.clfr.adjustments,
      ...(evaluation && { evaluation }),
      ...(best && { bestStep: best.step }),
      fles: version,
    });
    const kind = modelKindOf(config, spec);
    await writeModelFolder(directory, {
      base: spec,
      kind,
      maxLength: Math.max(text.documentLength, task === 'mlm' ? 0 : text.queryLength),
      bagDropped,
      card,
    });
    return kind;
  }

  async #save(): Promise<void> {
    const { output, trainer, config } = this.#parts;
    const { keep } = config.checkpoint;
    await saveCheckpoint(join(output, CHECKPOINTS), { step: this.#step, content: this.#content, keep }, (path) =>
      writeState(path, trainer),
    );
    this.#saved = this.#step;
  }

  async #writeReport(): Promise<string | null> {
    const path = join(this.#parts.output, 'report.html');
    try {
      await writeTrainReport(path, [this.#parts.output]);
    } catch (error) {
      if ((error as FlesError).code === 'ERR_REPORT_EMPTY') return null;
      throw error;
    }
    return path;
  }

  /**
   * An interrupted run keeps what it has done; after an error the checkpoint there is counts. Gives what the run ends with: the
   * error, or the one that kept the checkpoint from being saved.
   */
  async #saveInterrupted(error: unknown): Promise<unknown> {
    if (!this.#callbacks.signal?.aborted || error instanceof FlesError || this.#step === this.#saved) return error;
    this.#under = this.#step;
    try {
      await this.#save();
      // After a few steps there may be nothing to draw yet.
      await this.#writeReport().catch(() => undefined);
      await this.note(`stopped behind step ${this.#step}; the checkpoint there is what --resume goes on from`);
    } catch (failure) {
      return failure;
    }
    return error;
  }

  /** The error with the step it came at and what is left of the run. */
  #explained(error: unknown): unknown {
    if (!(error instanceof FlesError)) return error;
    const { code, message } = error;
    const advice: Record<string, string> = {
      ERR_LOSS_NOT_FINITE: 'lower optimizer.rate or raise loss.temperature',
      ERR_GRADIENT_VANISHED:
        'lower loss.flops.documents and loss.flops.queries, raise loss.antiCollapse.weight, or start anew',
      ERR_DATA_CHANGED: 'put the file back as it was before --resume',
    };
    const ofFile = isFileError(error);
    if (!(code in advice) && !ofFile) return error;
    const saved = this.#saved > 0;
    const rest = saved ? `the checkpoint of step ${this.#saved} is whole` : 'there is no checkpoint yet';
    const next = ofFile ? `--resume ${saved ? 'goes on from it' : 'begins anew'}` : advice[code];
    const step = message.startsWith('step ') ? '' : `step ${this.#under}: `;
    return new FlesError(code, `${step}${message}; ${rest}; ${next}`, { cause: error });
  }

  #report(
    outcome: StepOutcome,
    seen: {
      lambda: Lambdas;
      update: NativeUpdate;
      elapsed: number;
      decisions: ClfrDecision[];
      evaluation?: EvaluationLine;
    },
  ): void {
    const { measurement, terms } = outcome;
    this.#callbacks.onStep?.({
      step: this.#step,
      steps: this.#steps,
      epoch: this.#parts.task.epoch,
      loss: outcome.loss,
      terms: Object.fromEntries(Object.entries(terms).map(([name, { value }]) => [name, value])),
      ...(measurement && { nnz: nnzOf(measurement) }),
      lambda: seen.lambda,
      rate: seen.update.rate,
      examplesPerSecond: outcome.examples / seen.elapsed,
      secondsLeft: (this.#steps - this.#step) * this.#stepSeconds!,
      decisions: seen.decisions,
      ...(seen.evaluation && { evaluation: seen.evaluation }),
    });
  }
}

function now(): number {
  return Date.now() / 1000;
}
