import { FlesError } from '../errors';
import type { Cancellation, NativeStepReport, NativeTrainer, NativeUpdate } from '../native';
import type { Lambdas } from './clfr';
import type { TrainConfig } from './config';
import { type BatchState, type BatchStream, openPairs, type PairSource, streamBatches } from './data';
import { guardAgainstLeaks, readTestSet } from './data/leaks';
import { objectiveOf } from './objective';
import { lowerToTerms } from './start-terms';
import type { StepOutcome, Task, TaskContext } from './task';
import { Teacher } from './teacher';
import { addDocuments, type DfState, dfWeights, idfWeights } from './term-weights';

interface RetrievalState {
  batches: BatchState;
  /** DF-FLOPS alone. */
  df: DfState | null;
}

/** Learning to retrieve: queries with their documents, the contrastive loss or a teacher, FLOPS. */
export class RetrievalTask implements Task {
  #state: RetrievalState | undefined;

  private constructor(
    private readonly context: TaskContext,
    private readonly source: PairSource,
    readonly notes: readonly string[],
    private readonly stream: BatchStream,
    private readonly teacher: Teacher | undefined,
    private readonly idf: Float32Array | undefined,
    state: RetrievalState | undefined,
  ) {
    this.#state = state;
  }

  /** Throws what opening the data and loading the teacher throw. */
  static async open(context: TaskContext): Promise<RetrievalTask> {
    const { config, spec, tokenizer, signal, state } = context;
    const { batch, text, data, loss, seed } = config;
    const earlier = state as RetrievalState | undefined;
    const options = {
      corpus: data.corpus ?? undefined,
      queries: data.queries ?? undefined,
      qrels: data.qrels ?? undefined,
    };
    const { source, notes } = await guarded(
      config,
      await openPairs(data.paths, { ...options, split: data.split, signal }),
      signal,
    );
    let teacher: Teacher | undefined;
    try {
      const own = await negativesNote(source, config);
      const fewer = batch.examples !== null && batch.examples > source.size;
      checkSize(source, fewer ? source.size : (batch.examples ?? source.size), batch.queries);
      const stream = streamBatches(
        source,
        tokenizer,
        {
          queries: batch.queries,
          negatives: batch.negatives,
          ...(batch.givenNegatives !== null && { givenNegatives: batch.givenNegatives }),
          ...(batch.examples !== null && !fewer && { examples: batch.examples }),
          seed,
          shuffle: batch.shuffle,
          lastStep: batch.lastStep,
          queryLength: text.queryLength,
          documentLength: text.documentLength,
        },
        { state: earlier?.batches, signal },
      );
      const { device } = config.network;
      teacher = await Teacher.load(loss.distillation, tokenizer.vocabulary, { device, signal });
      checkScores(config, source);
      const idfOptions = { maxLength: text.documentLength, seed, signal };
      const idf =
        loss.flops.weighting === 'idf'
          ? await idfWeights(source.pool, tokenizer, spec.config.vocabularySize, idfOptions)
          : undefined;
      const all = fewer
        ? [
            `the data has ${source.size} examples, fewer than batch.examples=${batch.examples}: an epoch has all of them`,
          ]
        : [];
      return new RetrievalTask(context, source, [...notes, ...all, ...own], stream, teacher, idf, earlier);
    } catch (error) {
      teacher?.dispose();
      await source.close();
      throw error;
    }
  }

  get stepsPerEpoch(): number {
    return this.stream.stepsPerEpoch;
  }

  get state(): unknown {
    return this.#state;
  }

  get epoch(): number {
    const { epoch, step } = this.#state?.batches ?? { epoch: 0, step: 0 };
    return epoch + step / this.stepsPerEpoch;
  }

  async begin(trainer: NativeTrainer): Promise<string[]> {
    const { config, tokenizer, signal } = this.context;
    const terms = config.network.startTerms;
    if (terms === null) return [];
    const options = { terms, maxLength: config.text.documentLength, seed: config.seed, signal };
    return [await lowerToTerms(trainer, this.source.pool, tokenizer, options)];
  }

  async step(
    trainer: NativeTrainer,
    update: NativeUpdate,
    lambdas: Lambdas,
    cancellation?: Cancellation,
  ): Promise<StepOutcome> {
    const { config } = this.context;
    const { texts, next, epoch, step, ...batch } = await this.stream.next();
    const df = this.#state?.df ?? null;
    const objective = objectiveOf(config, lambdas, this.idf ?? (df ? dfWeights(df) : undefined));
    const taught = await this.teacher?.judge(texts);
    const report = await trainer.step({ ...batch, ...taught }, objective, update, cancellation);
    const documents = texts.documents.length;
    this.#state = {
      batches: next,
      df:
        config.loss.flops.weighting === 'df'
          ? addDocuments(df ?? { documents: 0, counts: [] }, documents, report.documentFrequencies)
          : null,
    };
    return outcome(report, texts.queries.length, documents, config.network.mode);
  }

  async close(): Promise<void> {
    this.teacher?.dispose();
    await this.stream.close();
    await this.source.close();
  }
}

/** The source without what gives the evaluation away, if that is wanted, and what there is to know about it. */
async function guarded(
  { evaluation, data }: TrainConfig,
  source: PairSource,
  signal?: AbortSignal,
): Promise<{ source: PairSource; notes: string[] }> {
  if (evaluation.data === null) return { source, notes: [...source.notes] };
  try {
    const { test, train } = await readTestSet(evaluation.data, evaluation.split, data);
    const { source: kept, report } = await guardAgainstLeaks(source, test, evaluation.leaks, { train, signal });
    const count = report.numbers.length;
    const done = evaluation.leaks === 'drop' ? 'they are left out' : 'set evaluation.leaks=drop to leave them out';
    const note = `${count} of ${report.examples} examples give away queries of ${test.name}; ${done}`;
    return { source: kept, notes: [...source.notes, ...(count > 0 ? [note] : [])] };
  } catch (error) {
    await source.close();
    throw error;
  }
}

function outcome(
  report: NativeStepReport,
  queries: number,
  documents: number,
  mode: TrainConfig['network']['mode'],
): StepOutcome {
  const { loss, terms, documentTerms, queryTerms, documentFrequencies, queryFrequencies } = report;
  return {
    examples: queries,
    loss,
    terms: terms as StepOutcome['terms'],
    ...(mode === 'sparse' && {
      measurement: { documents, documentTerms, queries, queryTerms, documentFrequencies, queryFrequencies },
    }),
    gradientNorm: report.gradientNorm,
    vanished: report.problem === 'ERR_GRADIENT_VANISHED',
    seconds: { ...report.seconds },
    bytes: report.bytes,
    headBytes: report.headBytes,
  };
}

/** Tells of negatives in the data that the recipe leaves out, as its first example shows. */
async function negativesNote(source: PairSource, { batch, data }: TrainConfig): Promise<string[]> {
  if (batch.givenNegatives !== 0 || source.size === 0) return [];
  const [example] = await source.examples([0]);
  if (example!.negatives.length === 0) return [];
  return [
    `${data.paths.join(', ')} has negatives of its own, which batch.givenNegatives=0 leaves out; set batch.givenNegatives=null to learn from them`,
  ];
}

/** Refuses an epoch that is shorter than a step. */
function checkSize({ name }: PairSource, examples: number, queries: number): void {
  if (queries <= examples) return;
  throw new FlesError(
    'ERR_DATA_EXHAUSTED',
    `an epoch of ${name} has ${examples} examples, expected ${queries} or more, the queries of one step; lower batch.queries or add data`,
  );
}

/** Refuses to learn from scores that nobody gives. */
function checkScores({ loss, data, batch }: TrainConfig, source: PairSource): void {
  const { kl, marginMse, teacher } = loss.distillation;
  if (kl + marginMse === 0 || teacher !== null) return;
  const key = kl > 0 ? 'kl' : 'marginMse';
  if (source.scored && batch.givenNegatives === 0) {
    throw new FlesError(
      'ERR_CONFIG_CONFLICT',
      `loss.distillation.${key} is ${loss.distillation[key]} but batch.givenNegatives is 0, which leaves out the negatives that have scores; ` +
        'set batch.givenNegatives=null',
    );
  }
  if (source.scored) return;
  throw new FlesError(
    'ERR_CONFIG_CONFLICT',
    `loss.distillation.${key} is ${loss.distillation[key]}, but ${data.paths.join(', ')} has no scores of a teacher; ` +
      `name one (loss.distillation.teacher), give scores, or set loss.distillation.${key}=0`,
  );
}
