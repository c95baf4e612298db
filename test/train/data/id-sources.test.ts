import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openPairs } from '../../../lib/train/data';
import { rejected } from '../../eval/thrown';
import { BEIR, folder, jsonLines, MARCO, open, poolTexts, positiveTable, texts } from './data-folders';

describe('triples of ids', () => {
  test('give the texts of collection and queries', async () => {
    for (const name of ['', 'qidpidtriples.train.full.2.tsv']) {
      const source = await open(MARCO, name);
      expect(await texts(source)).toEqual([
        ['five', 'zero', 'three'],
        ['eleven', 'one', 'two'],
        ['five', 'zero', 'one'],
      ]);
      expect(await poolTexts(source)).toEqual(['zero', 'one', 'two', 'three']);
      expect(await positiveTable(source)).toEqual(['1000', '0100', '1000']);
      const [example] = await source.examples([1]);
      expect([example!.query.id, example!.positive.id]).toEqual(['11', '1']);
      await source.close();
    }
  });

  test('know the relevant documents of the judgements beside them too', async () => {
    const source = await open({ ...MARCO, 'qrels.train.tsv': '5\t0\t3\t1\n5\t0\t2\t0\n8\t0\t0\t1\n' }, '');
    expect(await positiveTable(source)).toEqual(['1001', '0100', '1001']);
    await source.close();
  });

  test('take collection and queries from where options say', async () => {
    const directory = await folder({
      'triples.tsv': '5\t31\t8\n',
      'texts/passages.jsonl': jsonLines({ _id: '31', title: 'T', text: 'x' }, { _id: 8, text: 'y' }),
      'texts/q.tsv': '5\tfive\n',
    });
    const options = { corpus: join(directory, 'texts/passages.jsonl'), queries: join(directory, 'texts/q.tsv') };
    const source = await openPairs(join(directory, 'triples.tsv'), options);
    expect(await texts(source)).toEqual([['five', 'T x', 'y']]);
    await source.close();
  });

  test.each<[string, Record<string, string>, string, RegExp]>([
    [
      'a query without text',
      { triples: '6\t0\t1\n' },
      'ERR_QUERY_NOT_FOUND',
      /:2 names the query 6, which .*queries\.train\.tsv lacks/,
    ],
    ['a positive without text', { triples: '5\t4\t1\n' }, 'ERR_DOCUMENT_NOT_FOUND', /:2 names the document 4/],
    ['a negative without text', { triples: '5\t0\t9\n' }, 'ERR_DOCUMENT_NOT_FOUND', /:2 names the document 9/],
    ['two columns', { triples: '5\t0\n' }, 'ERR_TSV_LINE', /:2 is "5\\t0", expected three integers/],
    ['four columns', { triples: '5\t0\t1\t1\n' }, 'ERR_TSV_LINE', /:2 is /],
    ['a word for an id', { triples: '5\tx\t1\n' }, 'ERR_TSV_LINE', /:2 is /],
    ['a leading zero', { triples: '5\t00\t1\n' }, 'ERR_TSV_LINE', /:2 is /],
    ['an id of ten digits', { triples: '5\t1234567890\t1\n' }, 'ERR_TSV_LINE', /:2 is /],
    [
      'an id twice in the collection',
      { 'collection.tsv': '0\ta\n1\tb\n0\tc\n' },
      'ERR_ID_DUPLICATE',
      /collection\.tsv:3 has the id "0"/,
    ],
    ['a passage without tab', { 'collection.tsv': '0\ta\n1 b\n' }, 'ERR_TSV_LINE', /collection\.tsv:2 has no tab/],
    ['a passage without id', { 'collection.tsv': '0\ta\n\tb\n' }, 'ERR_TSV_LINE', /collection\.tsv:2 has an empty id/],
  ])('with %s are refused', async (_, { triples, ...files }, code, message) => {
    const name = 'qidpidtriples.train.full.2.tsv';
    const error = await rejected(open({ ...MARCO, [name]: `5\t0\t1\n${triples ?? ''}`, ...files }, ''));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  test('without their texts beside them are refused, naming what is missing', async () => {
    const error = await rejected(open({ 'triples.tsv': '1\t2\t3\n' }, 'triples.tsv'));
    expect(error.code).toBe('ERR_DATA_FORMAT');
    expect(error.message).toMatch(
      /holds ids, and collection\.tsv or corpus\.jsonl, .* is not beside it; .* option "corpus"/,
    );
  });
});

describe('JSON lines of ids', () => {
  const line = (query: unknown, positive: unknown, ...negatives: unknown[]) => ({
    ids: { query, positive, negatives },
  });
  const withIds = (...lines: object[]) => ({ ...BEIR, 'mined.jsonl': jsonLines(...lines) });

  test('give the texts of corpus and queries beside them, and scores', async () => {
    const files = withIds(
      line('q1', 'd1', 'd2', 'd3'),
      { ...line(7, 'd2', 'd3'), scores: [2, null] },
      line('q1', 'd2'),
    );
    const source = await open(files, 'mined.jsonl');
    expect(await texts(source)).toEqual([
      ['what flies', 'Bees They fly.', 'Ants walk.', 'Worms crawl.'],
      ['moves', 'Ants walk.', 'Worms crawl.'],
      ['what flies', 'Ants walk.'],
    ]);
    expect(await positiveTable(source)).toEqual(['110', '010', '110']);
    const [first, second] = await source.examples([0, 1]);
    expect(first).not.toHaveProperty('scores');
    expect(Array.from(second!.scores!)).toEqual([2, Number.NaN]);
    expect(Array.from(await source.findByQuery((query) => query === 'moves'))).toEqual([1]);
    await source.close();
  });

  test.each<[string, object, string, RegExp]>([
    ['a query without text', line('q9', 'd1'), 'ERR_QUERY_NOT_FOUND', /mined\.jsonl:2 names the query q9/],
    ['a positive without text', line('q1', 'd9'), 'ERR_DOCUMENT_NOT_FOUND', /:2 names the document d9/],
    ['a negative without text', line('q1', 'd1', 'd2', 8), 'ERR_DOCUMENT_NOT_FOUND', /:2 names the document 8/],
    ['no ids', { query: 'q', positive: 'p' }, 'ERR_RECORD_FIELD', /:2 has no "ids" as the first line has/],
    ['no positive', line('q1', undefined), 'ERR_RECORD_FIELD', /:2 ids field "positive" is absent/],
    ['an id of another kind', line('q1', 'd1', 0.5), 'ERR_RECORD_FIELD', /:2 ids field "negative" is 0\.5/],
    [
      'too many scores',
      { ...line('q1', 'd1'), scores: [1, 2] },
      'ERR_RECORD_FIELD',
      /:2 field "scores" .* expected 1 numbers/,
    ],
  ])('with %s are refused', async (_, second, code, message) => {
    const error = await rejected(open(withIds(line('q1', 'd1'), second), 'mined.jsonl'));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  test('that hold texts too are examples of texts', async () => {
    const source = await open({ 'a.jsonl': jsonLines({ query: 'q', positive: 'p', ...line('q1', 'd1') }) }, 'a.jsonl');
    expect(await texts(source)).toEqual([['q', 'p']]);
    await source.close();
  });
});

describe('a folder in the layout of BEIR', () => {
  test('gives an example for each relevant document, with title and text in one', async () => {
    const source = await open(BEIR, '');
    expect(await texts(source)).toEqual([
      ['what flies', 'Bees They fly.'],
      ['moves', 'Ants walk.'],
      ['moves', 'Bees They fly.'],
    ]);
    expect(await poolTexts(source)).toEqual(['Bees They fly.', 'Ants walk.', 'Worms crawl.']);
    expect(await positiveTable(source)).toEqual(['100', '110', '110']);
    expect(source.notes).toEqual([]);
    await source.close();
  });

  test('gives the split asked for', async () => {
    const source = await open(BEIR, '', { split: 'dev' });
    expect(await texts(source)).toEqual([['unjudged', 'Worms crawl.']]);
    await source.close();
    const error = await rejected(open(BEIR, '', { split: 'test' }));
    expect(error.code).toBe('ERR_SPLIT_NOT_FOUND');
    expect(error.message).toMatch(/expected one of dev, train/);
  });

  test('leaves out documents that the corpus lacks, and says so', async () => {
    const source = await open({ ...BEIR, 'qrels/train.tsv': 'q1 0 d1 1\nq1 0 d9 1\n' }, '');
    expect(source.size).toBe(1);
    expect(source.notes).toEqual([expect.stringMatching(/names 1 relevant documents that .*corpus\.jsonl lacks/)]);
    await source.close();
  });

  test('is refused when a judged query has no text or nothing is relevant', async () => {
    const absent = await rejected(open({ ...BEIR, 'qrels/train.tsv': 'q1 0 d1 1\nq9 0 d1 1\n' }, ''));
    expect(absent.code).toBe('ERR_QUERY_NOT_FOUND');
    expect(absent.message).toMatch(/train\.tsv:2 judges the query q9/);
    const nothing = await rejected(open({ ...BEIR, 'qrels/train.tsv': 'q1 0 d1 0\n' }, ''));
    expect(nothing.code).toBe('ERR_FILE_EMPTY');
  });
});
