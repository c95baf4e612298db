import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FlesError } from '../../lib/errors';
import { type BeirDocument, documentText, readBeir, readTexts } from '../../lib/eval/beir';
import { rejected } from './thrown';

function dataset(files: Record<string, string> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'fles-beir-'));
  mkdirSync(join(folder, 'qrels'));
  const all = {
    'corpus.jsonl': '{"_id": "d1", "title": "T", "text": "one"}\n{"_id": "d2", "text": "two", "metadata": {}}\n',
    'queries.jsonl': '{"_id": "q2", "text": "second"}\n{"_id": "q1", "text": "first"}\n{"_id": "q3", "text": "x"}\n',
    'qrels/test.tsv': 'query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td9\t2\n',
    ...files,
  };
  for (const [name, content] of Object.entries(all)) writeFileSync(join(folder, name), content);
  return folder;
}

async function all(documents: AsyncIterable<BeirDocument>): Promise<BeirDocument[]> {
  const found: BeirDocument[] = [];
  for await (const document of documents) found.push(document);
  return found;
}

const records = (...lines: object[]) => [lines.map((line) => JSON.stringify(line)).join('\n')];

describe('readBeir', () => {
  test('queries are those that the split judges, in the order of its judgements', async () => {
    const { queries, qrels } = await readBeir(dataset(), 'test');
    expect([...queries]).toEqual([
      ['q1', 'first'],
      ['q2', 'second'],
    ]);
    expect(qrels.get('q2')!.get('d9')).toBe(2);
  });

  test('the corpus can be read again and again; an absent title is empty', async () => {
    const { documents } = await readBeir(dataset(), 'test');
    for (let i = 0; i < 2; i++) {
      expect(await all(documents())).toEqual([
        { id: 'd1', title: 'T', text: 'one' },
        { id: 'd2', title: '', text: 'two' },
      ]);
    }
  });

  test('a split that is absent is refused, naming those that exist', async () => {
    const folder = dataset();
    cpSync(join(folder, 'qrels/test.tsv'), join(folder, 'qrels/dev.tsv'));
    const error = await rejected(readBeir(folder, 'train'));
    expect(error.code).toBe('ERR_SPLIT_NOT_FOUND');
    expect(error.message).toContain('has no split "train", expected one of dev, test');
  });

  test('a folder of another layout is refused, saying what is expected', async () => {
    const error = await rejected(readBeir(tmpdir(), 'test'));
    expect(error.code).toBe('ERR_SPLIT_NOT_FOUND');
    expect(error.message).toContain('corpus.jsonl, queries.jsonl, qrels/test.tsv');
  });

  test('a judged query without text is refused', async () => {
    const error = await rejected(readBeir(dataset({ 'queries.jsonl': '{"_id": "q1", "text": "first"}\n' }), 'test'));
    expect(error.code).toBe('ERR_QUERY_NOT_FOUND');
    expect(error.message).toContain('has no query q2');
  });

  test('an empty corpus is refused when it is read', async () => {
    const { documents } = await readBeir(dataset({ 'corpus.jsonl': '' }), 'test');
    expect((await rejected(all(documents()))).code).toBe('ERR_FILE_EMPTY');
  });
});

describe('readTexts', () => {
  test('an id stands under _id or id', async () => {
    const found = await all(readTexts(records({ id: 'a', text: '' }, { _id: 'b', id: 'x', text: '' })));
    expect(found.map(({ id }) => id)).toEqual(['a', 'b']);
  });

  test.each([
    [
      'an id that comes twice',
      [
        { _id: 'a', text: '' },
        { _id: 'a', text: '' },
      ],
      'ERR_ID_DUPLICATE',
      'input:2',
    ],
    ['an absent id', [{ text: 'x' }], 'ERR_RECORD_FIELD', 'input:1 field "_id"'],
    ['an id that is a fraction', [{ _id: 7.5, text: 'x' }], 'ERR_RECORD_FIELD', 'input:1 field "_id" is 7.5'],
    ['an empty id', [{ _id: '', text: 'x' }], 'ERR_RECORD_FIELD', 'input:1'],
    ['an absent text', [{ _id: 'a' }], 'ERR_RECORD_FIELD', 'field "text" is absent'],
    ['a title of another type', [{ _id: 'a', text: '', title: 1 }], 'ERR_RECORD_FIELD', 'field "title"'],
    ['half a surrogate pair', [{ _id: 'a', text: '\ud800' }], 'ERR_TEXT_SURROGATE', 'U+D800'],
  ])('%s is refused', async (_, lines, code, message) => {
    const error = await rejected(all(readTexts(records(...lines))));
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
  });
});

test('objects of any kind give records or a FlesError', async () => {
  const key = fc.constantFrom('_id', 'id', 'title', 'text', '__proto__');
  const object = fc.dictionary(key, fc.oneof(fc.string({ unit: 'binary' }), fc.jsonValue()));
  await fc.assert(
    fc.asyncProperty(fc.array(object, { maxLength: 4 }), async (lines) => {
      await all(readTexts(records(...lines))).catch((error: unknown) => expect(error).toBeInstanceOf(FlesError));
    }),
  );
});

test('encoders see title and text in one, without outer spaces', () => {
  expect(documentText({ title: 'T', text: 'x' })).toBe('T x');
  expect(documentText({ title: '', text: ' x' })).toBe('x');
  expect(documentText({ title: 'T', text: '' })).toBe('T');
});
