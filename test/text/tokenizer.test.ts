import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { Tokenizer as Library } from 'tokenizers';
import { describe, expect, test } from 'vitest';
import { type TokenBatch, Tokenizer } from '../../lib/text/tokenizer';
import { locate, modelNames, readModelFixture } from '../support/fixtures';
import { folder, jsonTokenizer, TERMS, withTerm } from './tokenizer-files';

const vocabFolder = (settings: object = {}, terms = TERMS) =>
  folder({ 'vocab.txt': `${terms.join('\n')}\n`, 'tokenizer_config.json': settings });

function rows({ tokens, offsets }: TokenBatch): number[][] {
  return Array.from({ length: offsets.length - 1 }, (_, i) => [...tokens.subarray(offsets[i], offsets[i + 1])]);
}

const words = async (tokenizer: Tokenizer, text: string) =>
  [...(await tokenizer.wordPieces(text))].map((id) => tokenizer.vocabulary[id]);

describe('real texts', () => {
  const data = locate('FLES_DATA', 'anserini', 'nfcorpus', 'squad', 'medquad');
  const models = locate('FLES_MODELS', 'bert-base-uncased-vocab');
  const skip = !data.found || !models.found;
  const reason = data.reason || models.reason;
  const load = () => Tokenizer.load(join(models.directory, 'bert-base-uncased-vocab'));

  function topics(name: string): Map<string, string> {
    const lines = readFileSync(join(data.directory, 'anserini', name), 'utf8')
      .trimEnd()
      .split('\n');
    return new Map(lines.map((line) => line.split('\t') as [string, string]));
  }

  test.skipIf(skip)(`every NFCorpus query has the word pieces published by Anserini${reason}`, async () => {
    const tokenizer = await load();
    const gold = topics('topics.nfcorpus.test.wp.tsv');
    expect(gold.size).toBe(323);
    for (const [id, text] of topics('topics.nfcorpus.test.tsv')) {
      expect((await words(tokenizer, text)).join(' '), id).toBe(gold.get(id));
    }
  });

  function passages(): { texts: string[]; fixture: Fixture } {
    const fixture = JSON.parse(readFileSync(join(__dirname, '../fixtures/tokenizer.json'), 'utf8')) as Fixture;
    const texts = fixture.sources.flatMap(({ path, count }) => {
      const lines = readFileSync(join(data.directory, path), 'utf8').trimEnd().split('\n');
      const all = lines.map((line) => {
        const row = JSON.parse(line) as { title: string; text: string; positive?: string };
        return row.positive ?? `${row.title} ${row.text}`.trim();
      });
      return (path.startsWith('nfcorpus') ? all : [...new Set(all)]).slice(0, count);
    });
    return { texts, fixture };
  }

  test.skipIf(skip)(
    `10,000 passages have the ids that transformers gives them, whole and cut off${reason}`,
    async () => {
      const tokenizer = await load();
      const { texts, fixture } = passages();
      expect(texts).toHaveLength(10_000);
      const whole = await tokenizer.encodeBatch(texts);
      expect(whole.tokens).toHaveLength(fixture.tokens);
      expect(digests(rows(whole))).toEqual(fixture.digests.whole);
      const cut = await tokenizer.encodeBatch(texts, { maxLength: fixture.maxLength });
      expect(digests(rows(cut))).toEqual(fixture.digests.cut);
    },
  );

  test.skipIf(skip)(`a folder with vocab.txt alone gives the ids of tokenizer.json${reason}`, async () => {
    const directory = folder({});
    copyFileSync(join(models.directory, 'bert-base-uncased-vocab/vocab.txt'), join(directory, 'vocab.txt'));
    const [fromText, fromJson] = [await Tokenizer.load(directory), await load()];
    const texts = passages().texts.filter((_, i) => i % 50 === 0);
    expect(fromText.vocabulary).toEqual(fromJson.vocabulary);
    expect(await fromText.encodeBatch(texts)).toEqual(await fromJson.encodeBatch(texts));
  });

  test.skipIf(skip)(`timers run while a thousand passages are tokenised${reason}`, async () => {
    const tokenizer = await load();
    const texts = passages().texts.slice(0, 1000);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    await tokenizer.encodeBatch(texts);
    clearInterval(timer);
    // One turn of the event loop or more for each native call of 64 texts.
    expect(ticks).toBeGreaterThanOrEqual(8);
  });
});

interface Fixture {
  sources: { path: string; count: number }[];
  tokens: number;
  maxLength: number;
  digests: { whole: string[]; cut: string[] };
}

/** As in test/fixtures/tokenizer.py. */
function digests(batch: number[][]): string[] {
  return Array.from({ length: Math.ceil(batch.length / 100) }, (_, part) => {
    const digest = createHash('sha256');
    for (const ids of batch.slice(part * 100, part * 100 + 100)) digest.update(Int32Array.of(ids.length, ...ids));
    return digest.digest('hex');
  });
}

describe('encodeBatch', () => {
  test.each(modelNames)('the texts of the random model %s have the ids of transformers', async (name) => {
    const fixture = readModelFixture(name);
    const tokenizer = await Tokenizer.load(fixture.directory);
    expect(rows(await tokenizer.encodeBatch(fixture.texts, { maxLength: fixture.maxLength }))).toEqual(fixture.tokens);
  });

  test('a text without any piece is [CLS] [SEP]', async () => {
    const tokenizer = await Tokenizer.load(vocabFolder());
    const batch = await tokenizer.encodeBatch(['', '  \t\n ', '\u200b', 'the']);
    expect(rows(batch)).toEqual([[2, 3], [2, 3], [2, 3], [2, 5, 3]]); // biome-ignore format: one row a text
  });

  test('no texts give no tokens', async () => {
    const tokenizer = await Tokenizer.load(vocabFolder());
    expect(await tokenizer.encodeBatch([])).toEqual({ tokens: new Int32Array(0), offsets: new Int32Array(1) });
  });

  test('a long text is cut off behind maxLength tokens with [SEP] kept', async () => {
    const tokenizer = await Tokenizer.load(vocabFolder());
    const texts = ['the cats the cats'];
    expect(rows(await tokenizer.encodeBatch(texts, { maxLength: 5 }))).toEqual([[2, 5, 6, 7, 3]]);
    expect(rows(await tokenizer.encodeBatch(texts, { maxLength: 2 }))).toEqual([[2, 3]]);
    expect(rows(await tokenizer.wordPiecesBatch(texts, { maxLength: 2 }))).toEqual([[5, 6]]);
  });

  test('calls with different lengths at once do not disturb each other', async () => {
    const tokenizer = await Tokenizer.load(vocabFolder());
    const texts = Array.from({ length: 300 }, () => 'the cat the cat the cat');
    const lengths = [2, 3, 4, 5, 6, 7, 8, 9];
    const batches = await Promise.all(lengths.map((maxLength) => tokenizer.encodeBatch(texts, { maxLength })));
    for (const [i, batch] of batches.entries()) {
      expect(new Set(rows(batch).map((row) => row.length))).toEqual(new Set([Math.min(lengths[i]!, 8)]));
    }
  });

  test('a lone surrogate is read as U+FFFD, which BERT removes', async () => {
    const tokenizer = await Tokenizer.load(vocabFolder());
    const [lone, replaced, without] = rows(await tokenizer.encodeBatch(['c\ud800at', 'c\ufffdat', 'cat']));
    expect(lone).toEqual(replaced);
    expect(lone).toEqual(without);
  });

  test('any text has the ids that the library gives the whole of it, cut off or not, met before or not', async () => {
    const definition = jsonTokenizer({ post_processor: null });
    const tokenizer = await Tokenizer.load(folder({ 'tokenizer.json': definition }));
    const library = Library.fromString(JSON.stringify(definition));
    const words = ['the', 'cats', 'CAT', 'x', '7', '!', '中文', 'é', 'e\u0301', '\u0301', '[MASK]', '[', 'ΟΔΟΣ', 'İ'];
    const odd = ['\u200b', '\ufffd', '\0', '\ud83d\ude00', '\u0345', '_'.repeat(101)];
    const spaces = [' ', '\t', '\n', '\v', '\f', '\r\n', '\u0085', '\u00a0', '\u1680', '\u2028', '\u3000'];
    const piece = fc.oneof(
      fc.constantFrom(...words, ...odd),
      fc.constantFrom(...spaces),
      fc.string({ unit: 'grapheme', maxLength: 4 }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece, { maxLength: 60 }),
        fc.integer({ min: 1, max: 12 }),
        async (pieces, maxLength) => {
          const text = pieces.join('');
          const whole = (await library.encode(text)).getIds();
          expect([...(await tokenizer.wordPieces(text))]).toEqual(whole);
          expect([...(await tokenizer.wordPieces(text, { maxLength }))]).toEqual(whole.slice(0, maxLength));
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('more words than are remembered change no ids', async () => {
    const tokenizer = await Tokenizer.load(vocabFolder());
    const numbers = Array.from({ length: 140_000 }, (_, i) => `the${i}`);
    const texts = Array.from(
      { length: 140 },
      (_, i) => `${numbers.slice(i * 1000, i * 1000 + 1000).join(' ')} the cat`,
    );
    const [first, again] = [await tokenizer.encodeBatch(texts), await tokenizer.encodeBatch(texts)];
    expect(first.tokens).toHaveLength(140 * 1004);
    expect(first.tokens.filter((id) => id === 1)).toHaveLength(140_000);
    expect(again).toEqual(first);
  });

  test.each([
    ['another pre-tokenizer', { pre_tokenizer: { type: 'Punctuation', behavior: 'Isolated' } }, 'the cat', ['[UNK]']],
    [
      'an added token with a space',
      {
        added_tokens: [
          ...jsonTokenizer().added_tokens,
          {
            id: 17,
            content: 'the cat',
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
            special: false,
          },
        ],
      },
      'a the cat',
      ['a', 'the cat'],
    ],
  ])('a tokenizer with %s sees whole texts', async (_, changes, text, expected) => {
    const tokenizer = await Tokenizer.load(folder({ 'tokenizer.json': jsonTokenizer(changes) }));
    expect(await words(tokenizer, text)).toEqual(expected);
  });

  test('a text that is no string is refused with its position', async () => {
    const tokenizer = await Tokenizer.load(vocabFolder());
    const texts = [...Array.from({ length: 100 }, () => 'the'), 7 as unknown as string];
    await expect(tokenizer.encodeBatch(texts)).rejects.toMatchObject({
      code: 'ERR_ARGUMENT_TYPE',
      message: 'texts[100] is 7, expected a string',
    });
  });

  test('an aborted call ends with the reason of its signal', async () => {
    const tokenizer = await Tokenizer.load(vocabFolder());
    const controller = new AbortController();
    const call = tokenizer.encodeBatch(new Array(5000).fill('the cat'), { signal: controller.signal });
    controller.abort();
    await expect(call).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
  });

  test('a maximum length below 2 leaves no room for [CLS] and [SEP] and is refused', async () => {
    const tokenizer = await Tokenizer.load(vocabFolder());
    await expect(tokenizer.encodeBatch(['a'], { maxLength: 1 })).rejects.toMatchObject({ code: 'ERR_OPTION_RANGE' });
  });
});

describe('load', () => {
  test('a tokenizer.json that pads and cuts off by itself does neither', async () => {
    const directory = folder({
      'tokenizer.json': jsonTokenizer({
        truncation: { max_length: 4, strategy: 'LongestFirst', stride: 0, direction: 'Right' },
        padding: {
          strategy: { Fixed: 12 },
          direction: 'Right',
          pad_to_multiple_of: null,
          pad_id: 0,
          pad_type_id: 0,
          pad_token: '[PAD]',
        },
      }),
    });
    const tokenizer = await Tokenizer.load(directory);
    expect(rows(await tokenizer.encodeBatch(['the cat the cat the cat', 'a']))).toEqual([[2, 5, 6, 5, 6, 5, 6, 3], [2, 16, 3]]); // biome-ignore format: one row a text
  });

  test('do_lower_case false keeps upper case and accents', async () => {
    expect(await words(await Tokenizer.load(vocabFolder()), 'CAT é')).toEqual(['cat', 'e']);
    const cased = await Tokenizer.load(vocabFolder({ do_lower_case: false }));
    expect(await words(cased, 'CAT é')).toEqual(['CAT', 'é']);
  });

  test('strip_accents and tokenize_chinese_chars of tokenizer_config.json are followed', async () => {
    const keep = await Tokenizer.load(vocabFolder({ strip_accents: false, tokenize_chinese_chars: false }));
    expect(await words(keep, 'é 中文')).toEqual(['é', '中文']);
    expect(await words(await Tokenizer.load(vocabFolder()), 'é 中文')).toEqual(['e', '中', '文']);
  });

  test('tokenizer_config.json wins over the normaliser of tokenizer.json, as in transformers', async () => {
    const files = { 'tokenizer.json': jsonTokenizer(), 'tokenizer_config.json': { do_lower_case: false } };
    expect(await words(await Tokenizer.load(folder(files)), 'CAT')).toEqual(['CAT']);
    expect(await words(await Tokenizer.load(folder({ 'tokenizer.json': jsonTokenizer() })), 'CAT')).toEqual(['cat']);
  });

  test("sentence-transformers' do_lower_case lower-cases before a cased tokenizer", async () => {
    const directory = folder({
      'vocab.txt': TERMS.join('\n'),
      'tokenizer_config.json': { do_lower_case: false },
      'sentence_bert_config.json': { max_seq_length: 8, do_lower_case: true },
    });
    expect(await words(await Tokenizer.load(directory), 'CAT É')).toEqual(['cat', 'é']);
  });

  test('special tokens of other names are found by tokenizer_config.json', async () => {
    const terms = ['<p>', '<u>', '<s>', '</s>', 'the'];
    const tokenizer = await Tokenizer.load(
      vocabFolder({ cls_token: '<s>', sep_token: { content: '</s>' }, unk_token: '<u>', pad_token: '<p>' }, terms),
    );
    expect(tokenizer.special).toEqual({ cls: 2, sep: 3, pad: 0, unk: 1, mask: undefined });
    expect(tokenizer.specialIds).toEqual([0, 1, 2, 3]);
    expect(rows(await tokenizer.encodeBatch(['the x']))).toEqual([[2, 4, 1, 3]]);
  });

  test.each([
    ['added_tokens.json', { '[Q]': TERMS.length, Cat: TERMS.length + 1 }],
    [
      'tokenizer_config.json',
      {
        added_tokens_decoder: {
          0: { content: '[PAD]', special: true },
          [TERMS.length]: { content: '[Q]', special: true },
          [TERMS.length + 1]: { content: 'Cat', normalized: true },
        },
      },
    ],
  ])('tokens that %s adds to vocab.txt are whole', async (name, content) => {
    const tokenizer = await Tokenizer.load(folder({ 'vocab.txt': TERMS.join('\n'), [name]: content }));
    expect(tokenizer.vocabulary).toEqual([...TERMS, '[Q]', 'Cat']);
    expect(await words(tokenizer, '[Q] the cats [PAD]')).toEqual(['[Q]', 'the', 'Cat', '[UNK]', '[PAD]']);
  });

  test('Windows line ends in vocab.txt belong to no term', async () => {
    const tokenizer = await Tokenizer.load(folder({ 'vocab.txt': `${TERMS.join('\r\n')}\r\n` }));
    expect(tokenizer.vocabulary).toEqual(TERMS);
  });

  test('ids without a term are named by their number', async () => {
    const tokenizer = await Tokenizer.load(vocabFolder(), { vocabularySize: TERMS.length + 2 });
    expect(tokenizer.vocabulary.slice(-3)).toEqual(['a', '[unused-17]', '[unused-18]']);
  });

  test('a vocabulary larger than the model is refused', async () => {
    await expect(Tokenizer.load(vocabFolder(), { vocabularySize: 16 })).rejects.toMatchObject({
      code: 'ERR_VOCABULARY_SIZE',
      message: expect.stringMatching(/vocab\.txt has 17 entries, expected at most 16/),
    });
  });

  test.each([
    ['an empty folder', {}, /has no tokenizer\.json and no vocab\.txt/],
    ['a byte-pair tokenizer', { 'tokenizer.json': { model: { type: 'BPE', vocab: {} } } }, /holds a BPE model/],
    ['a tokenizer without model', { 'tokenizer.json': {} }, /holds a missing model/],
    [
      'a vocabulary of strings',
      { 'tokenizer.json': jsonTokenizer({ model: { type: 'WordPiece', vocab: { a: 'b' } } }) },
      /no vocabulary/,
    ],
    [
      'two terms of one id',
      { 'tokenizer.json': jsonTokenizer({ model: { type: 'WordPiece', vocab: { a: 0 } } }) },
      /same id 0/,
    ],
    ['a vocabulary without [CLS]', { 'vocab.txt': 'a\nb\n' }, /no \[CLS\]/],
    ['an empty vocabulary', { 'vocab.txt': '' }, /is empty/],
    [
      'a pre-tokenizer that does not exist',
      { 'tokenizer.json': jsonTokenizer({ pre_tokenizer: { type: 'Nothing' } }) },
      /the pre_tokenizer "Nothing", expected one of BertPreTokenizer/,
    ],
    [
      'a pre-tokenizer that would end the process',
      {
        'tokenizer.json': jsonTokenizer({
          pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'FixedLength', length: 0 }] },
        }),
      },
      /the pre_tokenizer "FixedLength"/,
    ],
    [
      'a normalizer that would end the process',
      { 'tokenizer.json': jsonTokenizer({ normalizer: { type: 'Precompiled', precompiled_charsmap: '' } }) },
      /the normalizer "Precompiled"/,
    ],
    [
      'a normalizer with settings of another form',
      { 'tokenizer.json': jsonTokenizer({ normalizer: { type: 'Strip', strip_left: 1 } }) },
      /cannot be loaded/,
    ],
    ['a vocabulary without [UNK]', { 'vocab.txt': '[PAD]\n[CLS]\n[SEP]\na\n' }, /no "\[UNK\]"/],
    [
      'an id far beyond all others',
      { 'vocab.txt': '[PAD]\n', 'tokenizer.json': withTerm('far', 8_000_000) },
      /ids up to 8000000/,
    ],
  ])('%s is refused', async (_, files, message) => {
    await expect(Tokenizer.load(folder(files))).rejects.toMatchObject({
      name: 'FlesError',
      code: 'ERR_TOKENIZER',
      message: expect.stringMatching(message),
    });
  });

  test('a tokenizer.json that is cut off is refused as JSON', async () => {
    await expect(Tokenizer.load(folder({ 'tokenizer.json': '{"model": {' }))).rejects.toMatchObject({
      code: 'ERR_JSON',
    });
  });
});
