import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { show } from '../check';
import { FlesError, fileError } from '../errors';
import { isObject, JsonFile, readJsonFile } from '../model/json';

/** A vocabulary and the tokenizer around it, as the JSON that Hugging Face's `tokenizers` reads. */
export interface Vocabulary {
  /** tokenizer.json or vocab.txt. */
  path: string;
  /** Term of every id; ids that no term has are named `[unused-ID]`. */
  terms: string[];
  definition: Record<string, unknown>;
  special: SpecialTokens;
}

/** Ids of the special tokens; the last three may be absent from a vocabulary. */
export interface SpecialTokens {
  cls: number;
  sep: number;
  pad?: number;
  mask?: number;
  unk?: number;
}

interface AddedToken {
  id: number;
  content: string;
}

/**
 * Reads tokenizer.json, or builds its equivalent from vocab.txt and tokenizer_config.json. The padding, truncation and
 * template that a tokenizer.json brings are taken out: those are the caller's. Where tokenizer_config.json says
 * `do_lower_case`, `strip_accents` or `tokenize_chinese_chars`, it wins over the normaliser of tokenizer.json, as in
 * transformers.
 *
 * @returns undefined when the folder has neither file
 * @throws FlesError `ERR_TOKENIZER` (not a WordPiece tokenizer, damaged, or without [CLS] and [SEP]), `ERR_JSON`
 */
export async function readVocabulary(directory: string): Promise<Vocabulary | undefined> {
  const settingsPath = join(directory, 'tokenizer_config.json');
  const settings = (await readJsonFile(settingsPath)) ?? new JsonFile(settingsPath, {});
  const file = await readJsonFile(join(directory, 'tokenizer.json'));
  let path: string;
  let definition: Record<string, unknown>;
  if (file) {
    path = file.path;
    definition = { ...file.value, model: checkModel(file) };
  } else {
    path = join(directory, 'vocab.txt');
    const terms = await readLines(path);
    if (!terms) return undefined;
    definition = fromTerms(terms, await readAdded(directory, settings), settings, path);
  }
  definition.truncation = null;
  definition.padding = null;
  definition.post_processor = null;
  definition.decoder = null;
  definition.normalizer = normalizer(definition.normalizer, settings, await lowersFirst(directory));
  checkSteps(definition, 'normalizer', path);
  checkSteps(definition, 'pre_tokenizer', path);

  const ids = termIds(definition, path);
  const vocabulary = { path, terms: termsById(ids, path), definition, special: specialTokens(ids, settings, path) };
  const { unk_token: unknown } = definition.model as Record<string, unknown>;
  if (typeof unknown !== 'string' || !ids.has(unknown)) {
    throw new FlesError(
      'ERR_TOKENIZER',
      `${path} has no ${show(unknown)}, the term of words that it does not know; download it again`,
    );
  }
  return vocabulary;
}

/** Word embeddings that no term has: checkpoints are padded to a multiple of 128 at most. */
const SPARE_EMBEDDINGS = 127;

/** Refuses a vocabulary that has more entries than the model has embeddings, or far fewer. */
export function checkVocabularySize({ path, terms }: Vocabulary, vocabularySize: number): void {
  if (terms.length > vocabularySize) {
    throw new FlesError(
      'ERR_VOCABULARY_SIZE',
      `${path} has ${terms.length} entries, expected at most ${vocabularySize} (the model's word embeddings); ` +
        'the tokenizer belongs to another model',
    );
  }
  if (terms.length < vocabularySize - SPARE_EMBEDDINGS) {
    throw new FlesError(
      'ERR_VOCABULARY_SIZE',
      `${path} has ${terms.length} entries, expected at least ${vocabularySize - SPARE_EMBEDDINGS} (the model has ` +
        `${vocabularySize} word embeddings); the vocabulary is cut off or belongs to another model`,
    );
  }
}

/** The name of an id that no term has. BERT's own are `[unused0]`, so the two never meet. */
export function placeholder(id: number): string {
  return `[unused-${id}]`;
}

/**
 * The steps of normalisers and of splitters for WordPiece that are handed to the library. Others, which BERTs do not have, it
 * may answer by ending the process when their settings are bad.
 */
const STEPS = {
  normalizer: {
    list: 'normalizers',
    types: ['BertNormalizer', 'Lowercase', 'NFC', 'NFD', 'NFKC', 'NFKD', 'Nmt', 'Strip', 'StripAccents'],
  },
  pre_tokenizer: {
    list: 'pretokenizers',
    types: ['BertPreTokenizer', 'Whitespace', 'WhitespaceSplit', 'Punctuation', 'Digits'],
  },
} as const;

function checkSteps(definition: Record<string, unknown>, part: keyof typeof STEPS, path: string): void {
  const { list, types } = STEPS[part];
  const check = (step: unknown, depth: number) => {
    if (step === null || step === undefined) return;
    const type = isObject(step) ? step.type : step;
    if (isObject(step) && type === 'Sequence' && Array.isArray(step[list]) && depth < 8) {
      for (const inner of step[list]) check(inner, depth + 1);
    } else if (!(types as readonly unknown[]).includes(type)) {
      throw new FlesError(
        'ERR_TOKENIZER',
        `${path} has the ${part} ${show(type)}, expected one of ${types.join(', ')}, or a Sequence of them`,
      );
    }
  };
  check(definition[part], 0);
}

function checkModel(file: JsonFile): Record<string, unknown> {
  const { model } = file.value;
  // Files of the first versions do not name the model; only WordPiece has this field.
  if (!isObject(model) || (model.type ?? ('max_input_chars_per_word' in model && 'WordPiece')) !== 'WordPiece') {
    throw new FlesError(
      'ERR_TOKENIZER',
      `${file.path} holds a ${isObject(model) ? String(model.type) : 'missing'} model, supported is WordPiece (BERT)`,
    );
  }
  return { type: 'WordPiece', ...model };
}

async function readLines(path: string): Promise<string[] | undefined> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(await readFile(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    if (error instanceof TypeError) throw new FlesError('ERR_TOKENIZER', `${path} is not UTF-8; download it again`);
    throw fileError(error, path);
  }
  const lines = text.split(/\r\n|\r|\n/);
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

/**
 * What was added to the terms of vocab.txt: by tokenizer_config.json, else by added_tokens.json, the older form, which has no more
 * than contents and ids.
 */
async function readAdded(directory: string, settings: JsonFile): Promise<Record<string, unknown>[]> {
  const given = settings.object('added_tokens_decoder');
  if (Object.keys(given.value).length > 0) {
    return Object.keys(given.value).map((id) => {
      const token = given.object(id);
      const flag = (name: string) => token.boolean(name, false);
      const flags = Object.fromEntries(ADDED_FLAGS.map((name) => [name, flag(name)]));
      return { ...flags, id: Number(id), content: token.value.content };
    });
  }
  const file = await readJsonFile(join(directory, 'added_tokens.json'));
  const flags = Object.fromEntries(ADDED_FLAGS.map((name) => [name, name === 'normalized']));
  return Object.entries(file?.value ?? {}).map(([content, id]) => ({ ...flags, id, content }));
}

const ADDED_FLAGS = ['single_word', 'lstrip', 'rstrip', 'normalized', 'special'] as const;

function fromTerms(
  terms: string[],
  further: Record<string, unknown>[],
  settings: JsonFile,
  path: string,
): Record<string, unknown> {
  const vocab = new Map(terms.map((term, id) => [term, id]));
  const special = SPECIAL_NAMES.flatMap(([key, name]) => {
    const content = specialName(settings, key, name);
    const id = vocab.get(content);
    return id === undefined
      ? []
      : [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }];
  });
  if (vocab.size === 0) throw new FlesError('ERR_TOKENIZER', `${path} is empty, expected one term a line`);
  const added = new Map([...special, ...further].map((token) => [token.content, token]));
  return {
    version: '1.0',
    added_tokens: [...added.values()].sort((a, b) => Number(a.id) - Number(b.id)),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: specialName(settings, 'unk_token', '[UNK]'),
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(vocab),
    },
  };
}

function normalizer(given: unknown, settings: JsonFile, lowerFirst: boolean): unknown {
  let result = given ?? null;
  if (isObject(given) && given.type === 'BertNormalizer') {
    result = {
      ...given,
      lowercase: settings.boolean('do_lower_case', given.lowercase as boolean),
      strip_accents: settings.has('strip_accents') ? settings.boolean('strip_accents', false) : given.strip_accents,
      handle_chinese_chars: settings.boolean('tokenize_chinese_chars', given.handle_chinese_chars as boolean),
    };
  }
  if (!lowerFirst) return result;
  return { type: 'Sequence', normalizers: [{ type: 'Lowercase' }, ...(result === null ? [] : [result])] };
}

/** sentence-transformers' own switch, for cased vocabularies that were trained on lower-cased text. */
async function lowersFirst(directory: string): Promise<boolean> {
  const file = await readJsonFile(join(directory, 'sentence_bert_config.json'));
  return file?.boolean('do_lower_case', false) ?? false;
}

function termIds(definition: Record<string, unknown>, path: string): Map<string, number> {
  const { vocab } = definition.model as Record<string, unknown>;
  const added = definition.added_tokens ?? [];
  const isId = (id: unknown) => Number.isSafeInteger(id) && (id as number) >= 0 && (id as number) < 2 ** 24;
  if (!isObject(vocab) || !Object.values(vocab).every(isId)) {
    throw new FlesError('ERR_TOKENIZER', `${path} has no vocabulary from terms to ids; download it again`);
  }
  if (
    !Array.isArray(added) ||
    !added.every(
      (token) => isObject(token) && typeof token.content === 'string' && token.content !== '' && isId(token.id),
    )
  ) {
    throw new FlesError('ERR_TOKENIZER', `${path} has added_tokens without content or id; download it again`);
  }
  const ids = new Map(Object.entries(vocab as Record<string, number>));
  for (const { id, content } of added as AddedToken[]) ids.set(content, id);
  return ids;
}

/** Ids without a term that a small vocabulary may have; a large one as many as it has terms. */
const MOST_GAPS = 4096;

function termsById(ids: Map<string, number>, path: string): string[] {
  let size = 0;
  for (const id of ids.values()) size = Math.max(size, id + 1);
  if (size > 2 * ids.size + MOST_GAPS) {
    throw new FlesError('ERR_TOKENIZER', `${path} gives ${ids.size} terms ids up to ${size - 1}; download it again`);
  }
  const terms = new Array<string | undefined>(size).fill(undefined);
  for (const [term, id] of ids) {
    if (terms[id] !== undefined) {
      throw new FlesError('ERR_TOKENIZER', `${path} gives ${show(terms[id])} and ${show(term)} the same id ${id}`);
    }
    terms[id] = term;
  }
  return terms.map((term, id) => term ?? placeholder(id));
}

const SPECIAL_NAMES = [
  ['cls_token', '[CLS]'],
  ['sep_token', '[SEP]'],
  ['pad_token', '[PAD]'],
  ['mask_token', '[MASK]'],
  ['unk_token', '[UNK]'],
] as const;

/** A special token is written as a string or as an object with its content. */
function specialName(settings: JsonFile, key: string, fallback: string): string {
  return isObject(settings.value[key]) ? settings.object(key).string('content') : settings.string(key, fallback);
}

function specialTokens(ids: Map<string, number>, settings: JsonFile, path: string): SpecialTokens {
  const [cls, sep, pad, mask, unk] = SPECIAL_NAMES.map(([key, name]) => ids.get(specialName(settings, key, name)));
  if (cls === undefined || sep === undefined) {
    throw new FlesError('ERR_TOKENIZER', `${path} has no [CLS] or no [SEP], which every text begins and ends with`);
  }
  return { cls, sep, pad, mask, unk };
}
