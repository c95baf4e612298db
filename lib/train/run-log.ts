import { createReadStream, type ReadStream } from 'node:fs';
import { type FileHandle, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { FlesError, fileError } from '../errors';
import { isObject } from '../model/json';
import { readLines } from '../text/lines';
import { appendWhole, writeTextFile } from '../text/output-file';
import type { ClfrDecision, Lambdas } from './clfr';
import type { TrainConfig } from './config';
import { EVENT_FILE_PREFIX, TensorBoardWriter } from './tensorboard';

/** Means over the steps since the line before. */
export interface StepLine {
  kind: 'step';
  step: number;
  /** Unix time in seconds. */
  time: number;
  epoch: number;
  loss: number;
  /** `gradientNorm`: of the weighted term by the pooled logits. */
  terms: Record<string, { value: number; weight: number; gradientNorm: number }>;
  /** Mean terms of a document and of a query; absent where nothing is counted. */
  nnz?: { documents: number; queries: number };
  /** Weights of the FLOPS terms in the last of the steps. */
  lambda?: Lambdas;
  /** Share of the hidden words that were filled in right; task mlm alone. */
  accuracy?: number;
  /** Of the last of the steps. */
  rate: number;
  /** Before clipping. */
  gradientNorm: number;
  examplesPerSecond: number;
  /** Of a step, by part. */
  seconds: Record<string, number>;
  /** Largest. */
  bytes: number;
  headBytes: number;
}

export interface EvaluationLine {
  kind: 'evaluation';
  step: number;
  time: number;
  /** Means by trec_eval's names. */
  metrics: Record<string, number>;
  /** Mean terms of the documents and queries evaluated; null for a dense model. */
  nnz: { documents: number; queries: number } | null;
  /** Expected products of a query with a document; null for a dense model. */
  flops: number | null;
  seconds: number;
  /** Whether it is the best so far. */
  best: boolean;
}

export type LogLine =
  | { kind: 'run'; step: number; time: number; steps: number; resumed: boolean; config: TrainConfig; fles: string }
  | StepLine
  | ({ kind: 'clfr'; time: number } & ClfrDecision)
  | EvaluationLine
  | { kind: 'note'; step: number; time: number; text: string };

export const METRICS_FILE = 'metrics.jsonl';

/**
 * The log of a run: `metrics.jsonl`, a JSON object a line, and the same numbers for TensorBoard beside it.
 *
 * A run that goes on from a checkpoint takes back the lines behind it, which its own steps will write again.
 */
export class RunLog {
  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
    private readonly events: TensorBoardWriter,
    /** Whether the log of the steps done was not there. */
    readonly lost: boolean,
  ) {}

  /**
   * @param step the checkpoint that the run goes on from; 0 begins a new log
   * @throws FlesError `ERR_FILE_*`, `ERR_DISK_FULL`; the log that was there stays
   */
  static async open(directory: string, step: number): Promise<RunLog> {
    const path = join(directory, METRICS_FILE);
    const earlier = step === 0 ? [] : await readLogIfThere(path);
    const kept = earlier?.filter((line) => line.step <= step) ?? [];
    await writeTextFile(
      path,
      kept.map((line) => `${JSON.stringify(line)}\n`),
    );
    const events = await TensorBoardWriter.create(directory);
    try {
      for (const line of kept) await addEvent(events, line);
      // Those of earlier runs go when there is room for this one.
      for (const name of await readdir(directory)) {
        const other = join(directory, name);
        if (name.startsWith(EVENT_FILE_PREFIX) && other !== events.path) await rm(other);
      }
      return new RunLog(path, await open(path, 'a'), events, earlier === undefined);
    } catch (error) {
      await events.discard();
      throw fileError(error, path);
    }
  }

  /** Adds a line whole or not at all. Throws `ERR_FILE_*`, `ERR_DISK_FULL`. */
  async write(line: LogLine): Promise<void> {
    await appendWhole(this.file, `${JSON.stringify(line)}\n`, this.path);
    await addEvent(this.events, line);
  }

  async close(): Promise<void> {
    const file = this.file.close().catch((error) => {
      throw fileError(error, this.path);
    });
    await Promise.all([file, this.events.close()]);
  }
}

async function readLogIfThere(path: string): Promise<LogLine[] | undefined> {
  try {
    return await readLog(path);
  } catch (error) {
    if (error instanceof FlesError && error.code === 'ERR_FILE_NOT_FOUND') return undefined;
    throw error;
  }
}

/**
 * The lines of a log; what is no object of one is left out: a killed run may leave its last line cut off, a crash of the machine
 * with bytes that are no text.
 */
export async function readLog(path: string): Promise<LogLine[]> {
  const lines: LogLine[] = [];
  // Decoded by the stream, which puts U+FFFD where the text ends in the middle of a character.
  for await (const { text } of readLines(opened(path), { name: path })) {
    try {
      const line: unknown = JSON.parse(text);
      if (isObject(line)) lines.push(line as unknown as LogLine);
    } catch {}
  }
  return lines;
}

function opened(path: string): ReadStream {
  try {
    return createReadStream(path, 'utf8');
  } catch (error) {
    throw fileError(error, path); // a path with a NUL
  }
}

async function addEvent(events: TensorBoardWriter, line: LogLine): Promise<void> {
  if (line.kind === 'run' || line.kind === 'note') return;
  await events.add(line.step, scalars(line), line.time);
}

function scalars(line: StepLine | EvaluationLine | ({ kind: 'clfr' } & ClfrDecision)): Record<string, number> {
  switch (line.kind) {
    case 'clfr':
      return {
        [`clfr/${line.of} ${line.measure}`]: line.value,
        [`clfr/${line.of} target`]: line.target,
        [`clfr/${line.of} lambda`]: line.after,
      };
    case 'evaluation':
      return {
        ...prefixed('evaluation', line.metrics),
        ...prefixed('evaluation/nnz', line.nnz ?? {}),
        ...(line.flops !== null && { 'evaluation/flops': line.flops }),
      };
    case 'step':
      return {
        'loss/total': line.loss,
        ...prefixed('loss', Object.fromEntries(Object.entries(line.terms).map(([name, { value }]) => [name, value]))),
        ...prefixed('nnz', line.nnz ?? {}),
        ...prefixed('lambda', line.lambda ?? {}),
        ...(line.accuracy !== undefined && { accuracy: line.accuracy }),
        rate: line.rate,
        'gradient norm': line.gradientNorm,
        'examples a second': line.examplesPerSecond,
      };
  }
}

function prefixed(prefix: string, values: object): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}/${name}`, value]));
}
