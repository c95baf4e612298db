import { checkStrings } from '../check';
import { FlesError } from '../errors';
import { resolveModel } from '../model/hub';
import { readIdfTable } from '../model/idf';
import { readModel } from '../model/model';
import type { ModelSpec } from '../model/spec';
import { type Cancellation, cancellable, type NativeEncoder, type NativeSparseRows, native } from '../native';
import { SparseMatrix } from '../sparse-matrix';
import type { SparseVector } from '../sparse-vector';
import { type TokenBatch, Tokenizer } from '../text/tokenizer';
import { batchesOfWindows, inTurn, type MicroBatch } from './batches';
import { DenseMatrix } from './dense-matrix';
import {
  checkPretrainedOptions,
  type DataType,
  type EncodeOptions,
  type FromPretrainedOptions,
  type ResolvedOptions,
  resolveOptions,
} from './options';
import { queryRows } from './query-terms';
import { windows } from './windows';

export type { Device } from '../device';
export type { Cut, DataType, EncodeOptions, FromPretrainedOptions, VectorKind } from './options';

/** Texts tokenised and sorted by length together: enough to sort, little enough to yield often and to start early. */
const BATCHES_A_WINDOW = 8;

/** What a loaded model is. */
export interface EncoderInfo
  extends Pick<
    ModelSpec,
    | 'directory'
    | 'architecture'
    | 'config'
    | 'mode'
    | 'queryKind'
    | 'maxLength'
    | 'parameters'
    | 'storage'
    | 'sparse'
    | 'dense'
  > {
  device: string;
  /** Arithmetic of the matrix products. */
  dtype: DataType;
  /** Memory that the weights take in the native core. */
  weightBytes: number;
}

/**
 * Turns texts into sparse vectors: BERT or DistilBERT with its masked-language-model head, `log1p(relu(logit))`, and the
 * maximum over the tokens of a text (SPLADE; Formal et al. 2021, arXiv:2109.10086). Also dense vectors, for comparison.
 *
 * One encoder serves any number of calls at once; none blocks the event loop. A vector depends on its text alone, not on
 * the texts beside it or the number of threads.
 */
export class FLES1Encoder {
  /** String of every term id. */
  readonly vocabulary: readonly string[];
  readonly #spec: ModelSpec;
  readonly #tokenizer: Tokenizer;
  readonly #network: NativeEncoder;
  readonly #idf: Float32Array | undefined;
  readonly #options: FromPretrainedOptions;
  #calls = 0;
  #disposed = false;

  private constructor(
    spec: ModelSpec,
    tokenizer: Tokenizer,
    network: NativeEncoder,
    idf: Float32Array | undefined,
    options: FromPretrainedOptions,
  ) {
    this.vocabulary = tokenizer.vocabulary;
    this.#spec = spec;
    this.#tokenizer = tokenizer;
    this.#network = network;
    this.#idf = idf;
    this.#options = options;
  }

  /**
   * Loads a model from a local folder, or by its hub id (`org/name`) from the Hugging Face cache or hub.
   *
   * @throws FlesError naming the file, tensor or option: docs/models.md lists the codes
   */
  static async fromPretrained(dirOrHubId: string, options: FromPretrainedOptions = {}): Promise<FLES1Encoder> {
    checkPretrainedOptions(options);
    const { revision, token, cacheDir, offline, onProgress, signal, mode, pooling, denseMode, queryKind } = options;
    const directory = await resolveModel(dirOrHubId, { revision, token, cacheDir, offline, onProgress, signal });
    const spec = await readModel(directory, { mode, pooling, denseMode, queryKind });
    checkPretrainedOptions(options, limitsOf(spec));
    const tokenizer = await Tokenizer.load(spec.networkDirectory, { vocabularySize: spec.config.vocabularySize });
    const idf = spec.queryKind === 'idf' ? await readIdfTable(spec, tokenizer.vocabulary) : undefined;
    signal?.throwIfAborted();
    const network = await native.NativeEncoder.load({
      device: options.device ?? 'auto',
      dtype: options.dtype ?? 'float32',
      config: spec.config,
      withHead: spec.mode === 'sparse',
      files: spec.files,
      tensors: spec.tensors,
    });
    if (signal?.aborted) {
      network.dispose();
      signal.throwIfAborted();
    }
    return new FLES1Encoder(spec, tokenizer, network, idf, options);
  }

  get mode(): 'sparse' | 'dense' {
    return this.#spec.mode;
  }

  get info(): EncoderInfo {
    const { directory, architecture, config, mode, queryKind, maxLength, parameters, storage, sparse, dense } =
      this.#spec;
    return {
      directory,
      architecture,
      config,
      mode,
      queryKind,
      maxLength,
      parameters,
      storage,
      sparse,
      dense,
      device: this.#network.device,
      dtype: this.#options.dtype ?? 'float32',
      weightBytes: this.#network.weightBytes,
    };
  }

  /** The sparse vector of one text. An empty text, or one of only spaces, has an empty vector. */
  async encode(text: string, options: EncodeOptions = {}): Promise<SparseVector> {
    return (await this.encodeBatch([text], options)).row(0);
  }

  /**
   * The sparse vectors of many texts, as the rows of one matrix, in the order given. Texts are computed sorted by length,
   * some hundred at a time, and the next ones are tokenised meanwhile.
   *
   * @throws FlesError `ERR_MODEL_MODE` (a dense encoder), `ERR_ARGUMENT_TYPE`, `ERR_OPTION_*`, `ERR_DISPOSED`; the signal's
   *   reason
   */
  async encodeBatch(texts: readonly string[], options: EncodeOptions = {}): Promise<SparseMatrix> {
    this.#expectMode('sparse', 'encodeDense()');
    return this.#underWay(() => this.#encodeBatch(texts, options));
  }

  async #encodeBatch(texts: readonly string[], options: EncodeOptions): Promise<SparseMatrix> {
    const resolved = resolveOptions(options, limitsOf(this.#spec), this.#options);
    checkStrings('texts', texts);
    const rows =
      resolved.kind === 'query' && this.#spec.queryKind !== 'encoder'
        ? await this.#lookUp(texts, resolved)
        : await this.#compute(texts, resolved);
    resolved.onProgress?.(texts.length, texts.length);
    return rows;
  }

  /**
   * The sparse vectors of texts as they come, in their order, with bounded memory: some hundred texts are read ahead while
   * others are computed. Ending the loop early closes the source.
   */
  async *encodeStream(
    texts: AsyncIterable<string> | Iterable<string>,
    options: EncodeOptions = {},
  ): AsyncGenerator<SparseVector> {
    this.#expectMode('sparse', 'encodeDense()');
    const { batchSize, signal, onProgress } = resolveOptions(options, limitsOf(this.#spec), this.#options);
    const rest = { ...options, onProgress: undefined };
    let done = 0;
    for await (const rows of this.#oneAhead(windows(texts, batchSize * BATCHES_A_WINDOW, signal), rest)) {
      for (const row of rows) {
        signal?.throwIfAborted();
        yield row;
      }
      done += rows.rows;
      onProgress?.(done, undefined);
    }
  }

  /**
   * Dense vectors of texts, (texts, hidden size), in the order given; for models of mode `dense`.
   *
   * @throws FlesError `ERR_MODEL_MODE` (a sparse encoder; load it with `mode: 'dense'`), and as `encodeBatch`
   */
  async encodeDense(texts: readonly string[], options: EncodeOptions = {}): Promise<DenseMatrix> {
    this.#expectMode('dense', 'encodeBatch()');
    return this.#underWay(() => this.#encodeDense(texts, options));
  }

  async #encodeDense(texts: readonly string[], options: EncodeOptions): Promise<DenseMatrix> {
    const resolved = resolveOptions(options, limitsOf(this.#spec), this.#options);
    checkStrings('texts', texts);
    const columns = this.#spec.config.hiddenSize;
    const matrix = new DenseMatrix(texts.length, columns, new Float32Array(texts.length * columns));
    await this.#inBatches(
      texts,
      resolved,
      (tokens) => tokens,
      (batch, cancellation) => this.#network.encodeDense(batch.tokens, batch.offsets, this.#spec.dense!, cancellation),
      (batch, values) => {
        for (const [row, place] of batch.places.entries()) {
          matrix.row(place).set(values.subarray(row * columns, (row + 1) * columns));
        }
      },
    );
    resolved.onProgress?.(texts.length, texts.length);
    return matrix;
  }

  /** Frees the weights. Calls under way end first; later ones fail with `ERR_DISPOSED`. */
  dispose(): void {
    this.#disposed = true;
    if (this.#calls === 0) this.#network.dispose();
  }

  /** Runs a call of several steps; the weights stay until its last one. */
  async #underWay<T>(call: () => Promise<T>): Promise<T> {
    if (this.#disposed) throw new FlesError('ERR_DISPOSED', 'the encoder was disposed; load it again');
    this.#calls++;
    try {
      return await call();
    } finally {
      if (--this.#calls === 0 && this.#disposed) this.#network.dispose();
    }
  }

  /** Encodes window after window, the next one already under way while the last is consumed. */
  async *#oneAhead(source: AsyncIterable<string[]>, options: EncodeOptions): AsyncGenerator<SparseMatrix> {
    let running: Promise<SparseMatrix> | undefined;
    for await (const window of source) {
      const ready = running;
      running = this.encodeBatch(window, options);
      running.catch(() => {}); // reported where it is awaited
      if (ready) yield await ready;
    }
    if (running) yield await running;
  }

  #expectMode(mode: 'sparse' | 'dense', other: string): void {
    if (this.#spec.mode !== mode) {
      throw new FlesError(
        'ERR_MODEL_MODE',
        `${this.#spec.directory} is loaded in ${this.#spec.mode} mode, this call needs ${mode}; use ${other} or load it with mode "${mode}"`,
      );
    }
  }

  #withPrompt(texts: readonly string[], { kind }: ResolvedOptions): readonly string[] {
    const prompt = this.#spec.prompts[kind];
    return prompt === '' ? texts : texts.map((text) => prompt + text);
  }

  /** Query vectors that need no network. */
  async #lookUp(texts: readonly string[], options: ResolvedOptions): Promise<SparseMatrix> {
    const { maxLength, signal } = options;
    const pieces = await this.#tokenizer.wordPiecesBatch(this.#withPrompt(texts, options), {
      maxLength: Math.max(1, maxLength - 2),
      signal,
    });
    const idf = this.#idf;
    const weightOf = idf ? (term: number) => idf[term] ?? 0 : () => 1;
    const dropped = new Set(options.dropSpecialTokens ? this.#tokenizer.specialIds : []);
    return queryRows(pieces, weightOf, options, dropped, this.vocabulary);
  }

  async #compute(texts: readonly string[], options: ResolvedOptions): Promise<SparseMatrix> {
    const settings = {
      pooling: this.#spec.sparse!.pooling,
      threshold: options.threshold,
      topK: options.topK,
      dropped: Int32Array.from(options.dropSpecialTokens ? this.#tokenizer.specialIds : []),
    };
    const rows: { terms: Uint32Array; weights: Float32Array }[] = new Array(texts.length);
    await this.#inBatches(
      texts,
      options,
      (tokens, window) => withoutBlanks(window, tokens, options.maxLength),
      (batch, cancellation) => this.#network.encodeSparse(batch.tokens, batch.offsets, settings, cancellation),
      (batch, { offsets, terms, weights }: NativeSparseRows) => {
        for (const [row, place] of batch.places.entries()) {
          const [begin, end] = [offsets[row]!, offsets[row + 1]!];
          rows[place] = { terms: terms.subarray(begin, end), weights: weights.subarray(begin, end) };
        }
      },
    );
    return SparseMatrix.fromVectors(rows, this.vocabulary);
  }

  async #inBatches<T>(
    texts: readonly string[],
    options: ResolvedOptions,
    prepare: (tokens: TokenBatch, texts: readonly string[]) => TokenBatch,
    compute: (batch: MicroBatch, cancellation: Cancellation | undefined) => Promise<T>,
    collect: (batch: MicroBatch, result: T) => void,
  ): Promise<void> {
    const { batchSize, maxLength, signal, onProgress } = options;
    const total = texts.length;
    let done = 0;
    const tokenize = async (begin: number, end: number) => {
      const window = texts.slice(begin, end);
      const tokens = await this.#tokenizer.encodeBatch(this.#withPrompt(window, options), { maxLength, signal });
      return prepare(tokens, window);
    };
    await cancellable(signal, (cancellation) =>
      inTurn(
        batchesOfWindows(total, { windowSize: batchSize * BATCHES_A_WINDOW, batchSize }, tokenize),
        (batch) => compute(batch, cancellation),
        (batch, result) => {
          collect(batch, result);
          done += batch.places.length;
          if (done < total) onProgress?.(done, total);
        },
      ),
    );
  }
}

function limitsOf(spec: ModelSpec) {
  const { vocabularySize, maxPositions } = spec.config;
  return { vocabularySize, maxPositions, maxLength: spec.maxLength };
}

/**
 * The batch with the texts empty that have no word pieces, such as those of only white space: nothing is computed for them
 * and their vectors are empty. (Cut to [CLS] and [SEP] by `maxLength`, a text still has pieces.)
 */
function withoutBlanks(texts: readonly string[], batch: TokenBatch, maxLength: number): TokenBatch {
  const length = (i: number) => batch.offsets[i + 1]! - batch.offsets[i]!;
  const isBlank = texts.map((text, i) => !/\S/.test(text) || (length(i) <= 2 && maxLength > 2));
  if (!isBlank.includes(true)) return batch;
  const tokens = new Int32Array(batch.tokens.length);
  const offsets = new Int32Array(batch.offsets.length);
  for (const [i, blank] of isBlank.entries()) {
    const own = blank ? [] : batch.tokens.subarray(batch.offsets[i], batch.offsets[i + 1]);
    tokens.set(own, offsets[i]!);
    offsets[i + 1] = offsets[i]! + own.length;
  }
  return { tokens: tokens.slice(0, offsets[texts.length]), offsets };
}
