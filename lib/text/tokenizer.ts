import { resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Tokenizer as HuggingFaceTokenizer } from 'tokenizers';
import { checkArray, checkInteger, checkKeys, checkString } from '../check';
import { FlesError, messageOf, throwIfAborted } from '../errors';
import { type Cuts, cutsOf } from './cuts';
import { checkVocabularySize, placeholder, readVocabulary, type SpecialTokens, type Vocabulary } from './vocabulary';

/** Token ids of several texts, one after the other: text i owns tokens[offsets[i]] up to tokens[offsets[i + 1]]. */
export interface TokenBatch {
  tokens: Int32Array;
  /** One more than texts. */
  offsets: Int32Array;
}

export interface TokenizeOptions {
  /** Tokens kept of a text, [CLS] and [SEP] included; further ones are cut off at the end. Default: all. */
  maxLength?: number;
  signal?: AbortSignal;
}

/** Texts worked on before other work of the thread gets its turn: some milliseconds. */
const TEXTS_A_TURN = 64;
const CHARACTERS_A_TURN = 2 ** 18;

/** Characters of a word from which on it is cut where it may be: the library takes hundreds of bytes for each. */
const LONG_WORD = 1024;

/** Words remembered, and the longest of them; together some tens of megabytes at most. */
const CACHED_WORDS = 2 ** 17;
const CACHED_CHARACTERS = 32;

/**
 * BERT's WordPiece tokenisation by Hugging Face's own Rust library, so that every id equals that of `transformers`.
 *
 * BERT splits a text at white space before anything else, so that the pieces of a text are those of its words one after the
 * other. The library is asked for each word once: looking it up again is some twenty times faster.
 *
 * Words are tokenised on the library's threads, which the whole process shares: RAYON_NUM_THREADS of them, else
 * FLES_NUM_THREADS, else one a processor; TOKENIZERS_PARALLELISM=false allows one.
 * One instance may serve any number of calls at once.
 */
export class Tokenizer {
  /** Term of every id. */
  readonly vocabulary: readonly string[];
  readonly special: Readonly<SpecialTokens>;
  /** Ids of [CLS], [SEP], [PAD], [MASK] and [UNK], ascending, those that the vocabulary has. */
  readonly specialIds: readonly number[];
  readonly #native: HuggingFaceTokenizer;
  /** Where a text may be cut without changing its pieces. */
  readonly #cuts: Cuts;
  readonly #words = new Map<string, Word>();

  private constructor(native: HuggingFaceTokenizer, vocabulary: Vocabulary, vocabularySize: number) {
    this.#native = native;
    const { terms, definition } = vocabulary;
    this.vocabulary = Array.from({ length: vocabularySize }, (_, id) => terms[id] ?? placeholder(id));
    this.special = vocabulary.special;
    this.specialIds = Object.values(vocabulary.special)
      .filter((id) => id !== undefined)
      .sort((a, b) => a - b);
    this.#cuts = cutsOf(definition);
  }

  /**
   * Loads the tokenizer of a model folder: tokenizer.json, or vocab.txt with tokenizer_config.json.
   *
   * @param options.vocabularySize rows of the model's word embeddings; a larger vocabulary is refused, ids that a smaller one
   *   lacks are named `[unused-ID]`
   * @throws FlesError `ERR_TOKENIZER` (absent, damaged or of another kind), `ERR_VOCABULARY_SIZE`, `ERR_JSON`
   */
  static async load(directory: string, options: { vocabularySize?: number } = {}): Promise<Tokenizer> {
    checkKeys(options, ['vocabularySize']);
    const folder = resolve(checkString('the directory', directory));
    const vocabulary = await readVocabulary(folder);
    if (!vocabulary) {
      throw new FlesError('ERR_TOKENIZER', `${folder} has no tokenizer.json and no vocab.txt; download one of them`);
    }
    const size = checkInteger('vocabularySize', options.vocabularySize ?? vocabulary.terms.length, 1, MAX_TOKENS);
    checkVocabularySize(vocabulary, size);
    boundThreads();
    try {
      const { Tokenizer: Native } = await import('tokenizers');
      return new Tokenizer(Native.fromString(JSON.stringify(vocabulary.definition)), vocabulary, size);
    } catch (error) {
      throw new FlesError('ERR_TOKENIZER', `${vocabulary.path} cannot be loaded: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /**
   * Ids of texts as the network reads them: [CLS] pieces [SEP], at most `maxLength` (2 or more) a text. A text without any
   * piece (empty, only spaces) is [CLS] [SEP]. Lone surrogates are read as U+FFFD, as `toWellFormed` replaces them.
   *
   * @throws FlesError `ERR_ARGUMENT_TYPE` (a text that is no string), `ERR_OPTION_RANGE`; the signal's reason
   */
  async encodeBatch(texts: readonly string[], options: TokenizeOptions = {}): Promise<TokenBatch> {
    const maxLength = checkOptions(options, 2);
    const { cls, sep } = this.special;
    return this.#run(texts, maxLength - 2, options.signal, [cls], [sep]);
  }

  /** Ids of the word pieces of texts alone, without [CLS] and [SEP], at most `maxLength` (1 or more) a text. */
  async wordPiecesBatch(texts: readonly string[], options: TokenizeOptions = {}): Promise<TokenBatch> {
    const maxLength = checkOptions(options, 1);
    return this.#run(texts, maxLength, options.signal, [], []);
  }

  /** Ids of the word pieces of one text, without [CLS] and [SEP]. */
  async wordPieces(text: string, options: TokenizeOptions = {}): Promise<Int32Array> {
    return (await this.wordPiecesBatch([text], options)).tokens;
  }

  async #run(
    texts: readonly string[],
    limit: number,
    signal: AbortSignal | undefined,
    before: number[],
    after: number[],
  ): Promise<TokenBatch> {
    const offsets = new Int32Array(checkArray('texts', texts, 'strings').length + 1);
    const output = new Output();
    for (let begin = 0; begin < texts.length; ) {
      throwIfAborted(signal);
      const rows: Row[] = [];
      const unknown = new Map<string, Word>();
      for (
        let size = 0;
        begin + rows.length < texts.length && rows.length < TEXTS_A_TURN && size < CHARACTERS_A_TURN;
      ) {
        const place = begin + rows.length;
        const text = checkString(`texts[${place}]`, texts[place]);
        const row = { text, at: 0, parts: [] };
        this.#lookUp(row, limit, unknown);
        rows.push(row);
        size += text.length;
      }
      await (unknown.size > 0 ? this.#learn(unknown) : setImmediate());
      for (const row of rows) {
        await this.#finish(row, limit, signal);
        output.append(before, before.length);
        let left = limit;
        for (const { ids } of row.parts) {
          output.append(ids!, left);
          left -= ids!.length;
          if (left <= 0) break;
        }
        output.append(after, after.length);
        offsets[++begin] = output.length;
      }
    }
    throwIfAborted(signal);
    return { tokens: output.finish(), offsets };
  }

  /**
   * Goes on with the words of a text: up to `limit` ids, or to a turn's worth of words without ids yet, which go to `unknown`
   * too.
   */
  #lookUp(row: Row, limit: number, unknown: Map<string, Word>): void {
    const { text, parts } = row;
    let known = 0;
    let unlearnt = 0;
    let begin = row.at;
    for (let at = begin; at <= text.length && known < limit && unlearnt < CHARACTERS_A_TURN; at++) {
      const space = at === text.length || this.#cuts.at(text.charCodeAt(at));
      if (!space && !(at - begin >= LONG_WORD && this.#cuts.before(text.charCodeAt(at)))) continue;
      if (at > begin) {
        const word = text.slice(begin, at);
        let part = this.#words.get(word) ?? unknown.get(word);
        if (!part) {
          part = {};
          unknown.set(word, part);
        }
        parts.push(part);
        known += part.ids?.length ?? 0;
        if (!part.ids) unlearnt += word.length;
      }
      begin = space ? at + 1 : at;
    }
    row.at = begin;
  }

  /** Looks up what is left of a text that has more words without ids than a turn learns. */
  async #finish(row: Row, limit: number, signal: AbortSignal | undefined): Promise<void> {
    const length = () => row.parts.reduce((sum, { ids }) => sum + ids!.length, 0);
    while (row.at < row.text.length && length() < limit) {
      throwIfAborted(signal);
      const unknown = new Map<string, Word>();
      this.#lookUp(row, limit, unknown);
      await (unknown.size > 0 ? this.#learn(unknown) : setImmediate());
    }
  }

  /** Asks the library for the ids of words. */
  async #learn(unknown: Map<string, Word>): Promise<void> {
    const texts = [...unknown.keys()].map(wellFormed);
    const encodings = await this.#native.encodeBatch(texts, { addSpecialTokens: false }).catch((error: unknown) => {
      throw new FlesError('ERR_TOKENIZER', `the tokenizer refused a text: ${messageOf(error)}`, { cause: error });
    });
    let next = 0;
    for (const [text, word] of unknown) {
      word.ids = encodings[next++]!.getIds();
      if (text.length > CACHED_CHARACTERS) continue;
      // Forgetting all at once is rare and cheap: the words of the next texts fill it again.
      if (this.#words.size >= CACHED_WORDS) this.#words.clear();
      this.#words.set(detached(text), word);
    }
  }
}

/** Lets the library have as many threads as the core has, unless it is told how many; it reads this when it starts them. */
function boundThreads(): void {
  const threads = Number(process.env.FLES_NUM_THREADS);
  // The core refuses others.
  if (Number.isInteger(threads) && threads >= 1 && threads <= 1024) process.env.RAYON_NUM_THREADS ||= String(threads);
}

/** A word of a text; the ids are there once it is learnt. */
interface Word {
  ids?: readonly number[];
}

/** A text, the words looked up, and where the next one begins. */
interface Row {
  readonly text: string;
  at: number;
  readonly parts: Word[];
}

/** Token ids as they come. */
class Output {
  length = 0;
  #tokens = new Int32Array(4096);

  /** Adds the first `count` of `ids`, or all if there are fewer. */
  append(ids: readonly number[], count: number): void {
    const end = this.length + Math.min(ids.length, count);
    if (end > this.#tokens.length) this.#grow(end);
    for (let i = 0; this.length < end; i++) this.#tokens[this.length++] = ids[i]!;
  }

  finish(): Int32Array {
    return this.#tokens.slice(0, this.length);
  }

  #grow(least: number): void {
    if (least > MAX_TOKENS) {
      throw new FlesError('ERR_BATCH_SIZE', `the texts have more than ${MAX_TOKENS} tokens; pass fewer at once`);
    }
    const larger = new Int32Array(Math.max(least, this.#tokens.length * 2));
    larger.set(this.#tokens);
    this.#tokens = larger;
  }
}

/** Tokens of one call fit 32-bit offsets. */
const MAX_TOKENS = 2 ** 30;

/** The most tokens of a text. */
function checkOptions(options: TokenizeOptions, least: number): number {
  checkKeys(options, ['maxLength', 'signal']);
  return checkInteger('maxLength', options.maxLength ?? MAX_TOKENS, least, MAX_TOKENS);
}

/** `String.prototype.toWellFormed`, which Node 20 has and the ES2023 library types have not. */
function wellFormed(text: string): string {
  return (text as string & { toWellFormed(): string }).toWellFormed();
}

/** A copy of a part of a text that does not keep the text in memory. */
function detached(word: string): string {
  return Buffer.from(word, 'utf16le').toString('utf16le');
}
