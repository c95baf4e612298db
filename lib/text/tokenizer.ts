import { resolve } from 'node:path';
import type { Encoding, Tokenizer as HuggingFaceTokenizer } from 'tokenizers';
import { checkInteger, show } from '../check';
import { FlesError, messageOf, throwIfAborted } from '../errors';
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

/** Texts handed to the native tokenizer at once: enough to keep its threads busy, little enough to hold no thread long. */
const TEXTS_A_CALL = 64;
const CHARACTERS_A_CALL = 2 ** 18;

/**
 * BERT's WordPiece tokenisation by Hugging Face's own Rust library, so that every id equals that of `transformers`.
 *
 * Texts are tokenised on its threads: RAYON_NUM_THREADS bounds them and TOKENIZERS_PARALLELISM=false allows one.
 * One instance may serve any number of calls at once.
 */
export class Tokenizer {
  /** Term of every id. */
  readonly vocabulary: readonly string[];
  readonly special: Readonly<SpecialTokens>;
  /** Ids of [CLS], [SEP], [PAD], [MASK] and [UNK], ascending, those that the vocabulary has. */
  readonly specialIds: readonly number[];
  readonly #native: HuggingFaceTokenizer;
  readonly #cuttable: boolean;

  private constructor(native: HuggingFaceTokenizer, vocabulary: Vocabulary, vocabularySize: number) {
    this.#native = native;
    const { terms, definition } = vocabulary;
    this.vocabulary = Array.from({ length: vocabularySize }, (_, id) => terms[id] ?? placeholder(id));
    this.special = vocabulary.special;
    this.specialIds = Object.values(vocabulary.special)
      .filter((id) => id !== undefined)
      .sort((a, b) => a - b);
    const added = (definition.added_tokens ?? []) as { content: string }[];
    this.#cuttable = !added.some(({ content }) => /\s/.test(content));
  }

  /**
   * Loads the tokenizer of a model folder: tokenizer.json, or vocab.txt with tokenizer_config.json.
   *
   * @param options.vocabularySize rows of the model's word embeddings; a larger vocabulary is refused, ids that a smaller one
   *   lacks are named `[unused-ID]`
   * @throws FlesError `ERR_TOKENIZER` (absent, damaged or of another kind), `ERR_VOCABULARY_SIZE`, `ERR_JSON`
   */
  static async load(directory: string, options: { vocabularySize?: number } = {}): Promise<Tokenizer> {
    const folder = resolve(directory);
    const vocabulary = await readVocabulary(folder);
    if (!vocabulary) {
      throw new FlesError('ERR_TOKENIZER', `${folder} has no tokenizer.json and no vocab.txt; download one of them`);
    }
    const size = options.vocabularySize ?? vocabulary.terms.length;
    checkVocabularySize(vocabulary, size);
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
    const maxLength = checkInteger('maxLength', options.maxLength ?? MAX_TOKENS, 2, MAX_TOKENS);
    const { cls, sep } = this.special;
    return this.#run(texts, maxLength - 2, options.signal, (ids, into, at) => {
      into[at] = cls;
      into.set(ids, at + 1);
      into[at + 1 + ids.length] = sep;
      return ids.length + 2;
    });
  }

  /** Ids of the word pieces of texts alone, without [CLS] and [SEP], at most `maxLength` (1 or more) a text. */
  async wordPiecesBatch(texts: readonly string[], options: TokenizeOptions = {}): Promise<TokenBatch> {
    const maxLength = checkInteger('maxLength', options.maxLength ?? MAX_TOKENS, 1, MAX_TOKENS);
    return this.#run(texts, maxLength, options.signal, (ids, into, at) => {
      into.set(ids, at);
      return ids.length;
    });
  }

  /** Ids of the word pieces of one text, without [CLS] and [SEP]. */
  async wordPieces(text: string, options: TokenizeOptions = {}): Promise<Int32Array> {
    return (await this.wordPiecesBatch([text], options)).tokens;
  }

  async #run(
    texts: readonly string[],
    limit: number,
    signal: AbortSignal | undefined,
    write: (ids: number[], into: Int32Array, at: number) => number,
  ): Promise<TokenBatch> {
    throwIfAborted(signal);
    const offsets = new Int32Array(texts.length + 1);
    let tokens: Int32Array = new Int32Array(Math.min(limit + 2, 128) * Math.min(texts.length, 1024));
    let begin = 0;
    let next = this.#call(texts, begin, limit);
    while (begin < texts.length) {
      const { encodings, end } = await next;
      throwIfAborted(signal);
      // The threads tokenise the next texts while this one copies the ids of the last.
      if (end < texts.length) {
        next = this.#call(texts, end, limit);
        next.catch(() => {}); // thrown where it is awaited
      }
      for (const encoding of encodings) {
        const all = encoding.getIds();
        const ids = all.length > limit ? all.slice(0, limit) : all;
        const at = offsets[begin]!;
        if (at + ids.length + 2 > tokens.length) tokens = grown(tokens, at + ids.length + 2);
        offsets[++begin] = at + write(ids, tokens, at);
      }
    }
    return { tokens: tokens.slice(0, offsets[texts.length]), offsets };
  }

  async #call(texts: readonly string[], begin: number, limit: number): Promise<{ encodings: Encoding[]; end: number }> {
    const batch: string[] = [];
    let characters = 0;
    let end = begin;
    while (end < texts.length && batch.length < TEXTS_A_CALL && characters < CHARACTERS_A_CALL) {
      const text: unknown = texts[end];
      if (typeof text !== 'string') {
        throw new FlesError('ERR_ARGUMENT_TYPE', `texts[${end}] is ${show(text)}, expected a string`);
      }
      const cut = wellFormed(this.#cuttable ? firstWords(text, limit) : text);
      batch.push(cut);
      characters += cut.length;
      end++;
    }
    if (batch.length === 0) return { encodings: [], end };
    return { encodings: await this.#native.encodeBatch(batch, { addSpecialTokens: false }), end };
  }
}

/** Tokens of one call fit 32-bit offsets. */
const MAX_TOKENS = 2 ** 30;

function grown(tokens: Int32Array, least: number): Int32Array {
  if (least > MAX_TOKENS) {
    throw new FlesError('ERR_BATCH_SIZE', `the texts have more than ${MAX_TOKENS} tokens; pass fewer at once`);
  }
  const larger = new Int32Array(Math.max(least, tokens.length * 2));
  larger.set(tokens);
  return larger;
}

/** `String.prototype.toWellFormed`, which Node 20 has and the ES2023 library types have not. */
function wellFormed(text: string): string {
  return (text as string & { toWellFormed(): string }).toWellFormed();
}

/**
 * The beginning of a text, up to the white space after `count` words, when it has that many; the pieces of it are the
 * first pieces of the whole. BERT splits at white space before anything else, and a word with an ASCII letter or digit
 * always gives a piece, so the beginning has `count` pieces or more. Spares tokenising the rest of a long text.
 */
function firstWords(text: string, count: number): string {
  if (text.length <= 2 * count) return text;
  let words = 0;
  let solid = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    // Vertical tab and form feed are removed by BERT, they do not end a word.
    if (code === 32 || code === 9 || code === 10 || code === 13) {
      if (solid && ++words >= count) return text.slice(0, at);
      solid = false;
    } else if (!solid) {
      solid = (code >= 48 && code <= 57) || ((code | 32) >= 97 && (code | 32) <= 122);
    }
  }
  return text;
}
