import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

const scratch = mkdtempSync(join(tmpdir(), 'fles-tokenizer-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A vocabulary. */
export const TERMS = [
  '[PAD]',
  '[UNK]',
  '[CLS]',
  '[SEP]',
  '[MASK]',
  'the',
  'cat',
  '##s',
  'CAT',
  'é',
  'e',
  '中',
  '文',
  '中文',
  '!',
  '7',
  'a',
];

/** A folder with the given files; objects are written as JSON. */
export function folder(files: Record<string, unknown>): string {
  const directory = mkdtempSync(join(scratch, 'folder-'));
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(directory, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return directory;
}

/** tokenizer.json of it, as BERT has one. */
export function jsonTokenizer(changes: object = {}) {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: TERMS.slice(0, 5).map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: { type: 'BertProcessing', sep: ['[SEP]', 3], cls: ['[CLS]', 2] },
    decoder: null,
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(TERMS.map((term, id) => [term, id])),
    },
    ...changes,
  };
}

/** jsonTokenizer with one term more. */
export function withTerm(term: string, id: number) {
  const { model, ...rest } = jsonTokenizer();
  return { ...rest, model: { ...model, vocab: { ...model.vocab, [term]: id } } };
}
