import { FlesError } from '../errors';
import type { Cancellation, NativeMaskedBatch, NativeTrainer, NativeUpdate } from '../native';
import type { SpecialTokens } from '../text/vocabulary';
import type { Lambdas } from './clfr';
import type { DocumentPool } from './data';
import { uniform } from './data/hash';
import { Permutation } from './data/permutation';
import { openTexts } from './data/texts';
import type { StepOutcome, Task, TaskContext } from './task';

interface MlmState {
  epoch: number;
  step: number;
  /** Of the texts, and how many of them an epoch has. */
  fingerprint: string;
  texts: number;
}

/** What a mask is drawn for; the first word of each draw. */
const CHOOSE = 1;
const REPLACE = 2;
const ORDER = 3;

/** Learning to fill in masked words (BERT; Devlin et al. 2018, arXiv:1810.04805), from texts alone. */
export class MlmTask implements Task {
  readonly notes = [];
  #state: MlmState;
  /** The batch of the next step, prepared while the one before is computed. */
  #waiting: Promise<NativeMaskedBatch> | undefined;

  private constructor(
    private readonly context: TaskContext,
    private readonly pool: DocumentPool,
    private readonly size: number,
    private readonly closePool: () => Promise<void>,
    state: MlmState,
  ) {
    this.#state = state;
  }

  /** Throws `ERR_DATA_EXHAUSTED` for fewer texts than a step takes, and what opening the data throws. */
  static async open(context: TaskContext): Promise<MlmTask> {
    const { config, tokenizer } = context;
    if (tokenizer.special.mask === undefined) {
      throw new FlesError('ERR_TOKENIZER', `${config.model} has no [MASK], which masked words are replaced by`);
    }
    const { paths, split, corpus, queries, qrels } = config.data;
    const { pool, fingerprint, close } = await openTexts(paths, {
      split,
      ...(corpus !== null && { corpus }),
      ...(queries !== null && { queries }),
      ...(qrels !== null && { qrels }),
      signal: context.signal,
    });
    const size = config.batch.examples ?? pool.size;
    const state = (context.state as MlmState | undefined) ?? { epoch: 0, step: 0, fingerprint, texts: size };
    try {
      if (size > pool.size || config.batch.queries > size) {
        throw new FlesError(
          'ERR_DATA_EXHAUSTED',
          `${config.data.paths.join(', ')} has ${pool.size} texts, expected at least ` +
            `${Math.max(size > pool.size ? size : 0, config.batch.queries)}; lower batch.examples or batch.queries, or add data`,
        );
      }
      if (state.fingerprint !== fingerprint || state.texts !== size) {
        throw new FlesError(
          'ERR_RESUME_MISMATCH',
          `the checkpoint was made from ${state.texts} texts of the fingerprint ${state.fingerprint}, now there are ${size} of ${fingerprint}; ` +
            'resume with the same data, or start anew',
        );
      }
      return new MlmTask(context, pool, size, close, state);
    } catch (error) {
      await close();
      throw error;
    }
  }

  get stepsPerEpoch(): number {
    return Math.floor(this.size / this.context.config.batch.queries);
  }

  get state(): unknown {
    return this.#state;
  }

  get epoch(): number {
    return this.#state.epoch + this.#state.step / this.stepsPerEpoch;
  }

  async begin(): Promise<string[]> {
    return [];
  }

  async step(
    trainer: NativeTrainer,
    update: NativeUpdate,
    _lambdas: Lambdas,
    cancellation?: Cancellation,
  ): Promise<StepOutcome> {
    const batch = await (this.#waiting ?? this.#prepare(this.#state));
    const next = this.#after(this.#state);
    this.#waiting = this.#prepare(next);
    // What goes wrong shows when it is asked for.
    this.#waiting.catch(() => {});
    const report = await trainer.stepMaskedLanguageModel(batch, update, cancellation);
    this.#state = next;
    return {
      examples: this.context.config.batch.queries,
      loss: report.loss,
      terms: {},
      accuracy: report.accuracy,
      gradientNorm: report.gradientNorm,
      vanished: report.problem === 'ERR_GRADIENT_VANISHED',
      seconds: { ...report.seconds },
      bytes: report.bytes,
      headBytes: report.headBytes,
    };
  }

  /**
   * The texts of a step, hidden words and all. Texts none of which has a word piece are passed over for those of the steps behind.
   */
  async #prepare(state: MlmState): Promise<NativeMaskedBatch> {
    let from = state;
    for (let tried = 0; tried < this.stepsPerEpoch; tried++) {
      const batch = await this.#mask(from, state);
      if (batch.labels.some((label) => label >= 0)) return batch;
      from = this.#after(from);
    }
    throw new FlesError(
      'ERR_DATA_EXHAUSTED',
      `no text of ${this.context.config.data.paths.join(', ')} has a word piece that could be masked; expected texts in the language of the vocabulary`,
    );
  }

  /** The texts of one step with the masks of another, or its own. */
  async #mask({ epoch, step }: MlmState, masks: MlmState): Promise<NativeMaskedBatch> {
    const { config, tokenizer, signal } = this.context;
    const { queries: count, shuffle } = config.batch;
    const order = new Permutation(this.pool.size, [ORDER, config.seed]);
    // The subset is the first `size` of one order; an epoch has an order of its own within it.
    const within = new Permutation(this.size, [ORDER, config.seed, epoch + 1]);
    const numbers = Array.from({ length: count }, (_, i) => {
      const at = step * count + i;
      return shuffle ? order.at(within.at(at)) : order.at(at);
    });
    const texts = (await this.pool.documents(numbers)).map(({ text }) => text);
    const batch = await tokenizer.encodeBatch(texts, { maxLength: config.text.documentLength, signal });
    const labels = maskTokens(batch, {
      share: config.mlm.share,
      words: [config.seed, masks.epoch, masks.step],
      special: tokenizer.special,
      specialIds: tokenizer.specialIds,
      vocabularySize: tokenizer.vocabulary.length,
    });
    return { ...batch, labels };
  }

  #after(state: MlmState): MlmState {
    const last = state.step + 1 === this.stepsPerEpoch;
    return { ...state, epoch: last ? state.epoch + 1 : state.epoch, step: last ? 0 : state.step + 1 };
  }

  async close(): Promise<void> {
    await this.#waiting?.catch(() => {});
    await this.closePool();
  }
}

interface Masking {
  /** Share of tokens that are hidden. */
  share: number;
  /** What decides the draws. */
  words: readonly number[];
  special: SpecialTokens;
  specialIds: readonly number[];
  vocabularySize: number;
}

/**
 * Hides tokens of a batch in place and returns what they were, -1 for those that stay. Of the hidden ones 80% become [MASK], 10% a
 * random token and 10% stay as they are; special tokens are never hidden, and every text with word pieces has one hidden at
 * least.
 */
export function maskTokens(batch: { tokens: Int32Array; offsets: Int32Array }, masking: Masking): Int32Array {
  const { tokens, offsets } = batch;
  const { share, words, special, vocabularySize } = masking;
  const isSpecial = new Set(masking.specialIds);
  const labels = new Int32Array(tokens.length).fill(-1);
  for (let text = 0; text + 1 < offsets.length; text++) {
    const places: number[] = [];
    for (let at = offsets[text]!; at < offsets[text + 1]!; at++) if (!isSpecial.has(tokens[at]!)) places.push(at);
    const draw = (kind: number, at: number) => uniform([kind, ...words, text, at]);
    const hidden = places.filter((at) => draw(CHOOSE, at - offsets[text]!) < share);
    if (hidden.length === 0 && places.length > 0) hidden.push(places[Math.floor(draw(CHOOSE, -1) * places.length)]!);
    for (const at of hidden) {
      labels[at] = tokens[at]!;
      const kind = draw(REPLACE, at - offsets[text]!);
      // What is left of the draw decides which token: it is uniform too.
      if (kind < 0.8) tokens[at] = special.mask!;
      else if (kind < 0.9) tokens[at] = Math.floor((kind - 0.8) * 10 * vocabularySize);
    }
  }
  return labels;
}
