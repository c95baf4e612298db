import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openPairs, withoutExamples } from '../../../lib/train/data';
import { rejected } from '../../eval/thrown';
import { BEIR, folder, jsonLines, MARCO, open, poolTexts, positiveTable, texts } from './data-folders';

describe('JSON lines', () => {
  test('give query, positive and negatives, and the scores of a teacher', async () => {
    const source = await open(
      {
        'a.jsonl': jsonLines(
          { query: 'q', positive: 'p', id: 3 },
          { query: 'q', positive: 'r', negatives: ['n', 'm'], scores: [3, 2, 1.5], title: 'ignored' },
          { query: 'u', positive: 'p', negatives: null },
        ),
      },
      'a.jsonl',
    );
    expect(await texts(source)).toEqual([
      ['q', 'p'],
      ['q', 'r', 'n', 'm'],
      ['u', 'p'],
    ]);
    const [first, second] = await source.examples([0, 1]);
    expect(first).not.toHaveProperty('scores');
    expect(Array.from(second!.scores!)).toEqual([3, 2, 1.5]);
    expect(await poolTexts(source)).toEqual(['p', 'r', 'p']);
    // Query q has two positives, wherever they stand.
    expect(await positiveTable(source)).toEqual(['111', '111', '101']);
    await source.close();
  });

  test.each<[string, string, string, RegExp]>([
    ['a line that is no JSON', '{', 'ERR_JSON_LINE', /a\.jsonl:2 is not JSON/],
    ['a line that is no object', '[1]', 'ERR_JSON_LINE', /a\.jsonl:2 holds \[1\]/],
    ['no query', '{"positive":"p"}', 'ERR_RECORD_FIELD', /:2 field "query" is absent/],
    [
      'a positive that is a list',
      '{"query":"q","positive":["p"]}',
      'ERR_RECORD_FIELD',
      /:2 field "positive" is \["p"\]/,
    ],
    ['an empty query', '{"query":" ","positive":"p"}', 'ERR_RECORD_FIELD', /:2 field "query" is empty/],
    ['an empty positive', '{"query":"q","positive":""}', 'ERR_RECORD_FIELD', /:2 field "positive" is empty/],
    [
      'negatives that are no list',
      '{"query":"q","positive":"p","negatives":"n"}',
      'ERR_RECORD_FIELD',
      /expected a list/,
    ],
    [
      'a negative that is no string',
      '{"query":"q","positive":"p","negatives":["n",1]}',
      'ERR_RECORD_FIELD',
      /"negatives\[1\]" is 1/,
    ],
    [
      'a misnamed negative',
      '{"query":"q","positive":"p","negative":"n"}',
      'ERR_RECORD_FIELD',
      /has the field "negative", expected "negatives"/,
    ],
    [
      'too few scores',
      '{"query":"q","positive":"p","negatives":["n"],"scores":[1]}',
      'ERR_RECORD_FIELD',
      /expected 2 numbers/,
    ],
    [
      'a score that is no number',
      '{"query":"q","positive":"p","scores":["1"]}',
      'ERR_RECORD_FIELD',
      /expected 1 numbers/,
    ],
    ['half a surrogate pair', '{"query":"\\ud800","positive":"p"}', 'ERR_TEXT_SURROGATE', /:2 field "query"/],
  ])('with %s are refused, naming file and line', async (_, line, code, message) => {
    const error = await rejected(open({ 'a.jsonl': `{"query":"q","positive":"p"}\n${line}\n` }, 'a.jsonl'));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });
});

describe('columns of texts', () => {
  test('give query, positive and negatives', async () => {
    const source = await open({ 'triples.tsv': 'q\tp\tn\nu\tr\tm\r\n' }, 'triples.tsv');
    expect(await texts(source)).toEqual([
      ['q', 'p', 'n'],
      ['u', 'r', 'm'],
    ]);
    await source.close();
    const pairs = await open({ 'pairs.tsv': 'q\tp\n' }, 'pairs.tsv');
    expect(await texts(pairs)).toEqual([['q', 'p']]);
    await pairs.close();
  });

  test.each([
    ['fewer columns than the first line', 'q\tp', /:2 has 2 columns, expected 3 as on the first line/],
    ['more columns', 'q\tp\tn\tm', /:2 has 4 columns, expected 3/],
    ['one column', 'q', /:2 has 1 columns, expected 3/],
    ['an empty positive', 'q\t\tn', /:2 positive is empty/],
  ])('with %s are refused', async (_, line, message) => {
    const error = await rejected(open({ 'a.tsv': `q\tp\tn\n${line}\n` }, 'a.tsv'));
    expect(error.message).toMatch(message);
  });
});

test('a corpus beside pairs is where random negatives come from, and its positives are known by text', async () => {
  const directory = await folder({
    'pairs.jsonl': jsonLines(
      { query: 'q', positive: 'two' },
      { query: 'q', positive: 'zero' },
      { query: 'u', positive: 'x' },
    ),
    'collection.tsv': '0\tzero\n1\tone\n2\ttwo\n',
  });
  const source = await openPairs(join(directory, 'pairs.jsonl'), { corpus: join(directory, 'collection.tsv') });
  expect(await poolTexts(source)).toEqual(['zero', 'one', 'two']);
  expect(await positiveTable(source)).toEqual(['101', '101', '000']);
  await source.close();
});

describe('several sources', () => {
  test('follow one another, each with its own positives, and share their documents', async () => {
    const directory = await folder({
      'b.jsonl': jsonLines({ query: 'q', positive: 'p' }),
      'a.ndjson': jsonLines({ query: 'q', positive: 'r' }, { query: 'u', positive: 'p' }),
      'readme.txt': 'not data',
    });
    const source = await openPairs([directory, await folder(BEIR)]);
    expect(await texts(source)).toEqual([
      ['q', 'r'],
      ['u', 'p'],
      ['q', 'p'],
      ['what flies', 'Bees They fly.'],
      ['moves', 'Ants walk.'],
      ['moves', 'Bees They fly.'],
    ]);
    expect(await poolTexts(source)).toEqual(['r', 'p', 'p', 'Bees They fly.', 'Ants walk.', 'Worms crawl.']);
    const [query, , other] = await positiveTable(source);
    expect([query, other]).toEqual(['111000', '111000']);
    const shuffled = await source.examples([5, 0, 3, 2, 0]);
    expect(shuffled.map((example) => example.query.text)).toEqual(['moves', 'q', 'what flies', 'q', 'q']);
    await source.close();
  });

  test('that share a corpus count it once', async () => {
    const directory = await folder({
      'a.jsonl': jsonLines({ query: 'q', positive: 'zero' }),
      'b.jsonl': jsonLines({ query: 'u', positive: 'one' }),
      'texts/c.tsv': '0\tzero\n1\tone\n',
    });
    const source = await openPairs(directory, { corpus: join(directory, 'texts/c.tsv') });
    expect(await poolTexts(source)).toEqual(['zero', 'one']);
    await source.close();
  });
});

describe('examples by their query', () => {
  const isWanted = (query: string) => ['q', 'moves', 'five'].includes(query);

  test.each<[string, Record<string, string>, number[]]>([
    ['JSON lines', { 'a.jsonl': jsonLines({ query: 'u', positive: 'p' }, { query: 'q', positive: 'p' }) }, [1]],
    ['BEIR', BEIR, [1, 2]],
    ['triples of ids', MARCO, [0, 2]],
  ])('are found in %s and can be left out', async (_, files, expected) => {
    const source = await open(files, '');
    const found = await source.findByQuery(isWanted);
    expect(Array.from(found)).toEqual(expected);
    const rest = withoutExamples(source, found);
    expect(await texts(rest)).toEqual((await texts(source)).filter((_, i) => !expected.includes(i)));
    expect(Array.from(await rest.findByQuery(() => true))).toEqual([...Array(rest.size).keys()]);
    expect(Array.from(await rest.findByQuery(isWanted))).toEqual([]);
    expect(rest.fingerprint).not.toBe(source.fingerprint);
    expect(withoutExamples(source, new Float64Array())).toBe(source);
    await rest.close();
  });

  test('may be left out anywhere, and the others keep their order', async () => {
    const names = Array.from({ length: 20 }, (_, i) => `q${i}`);
    const source = await open({ 'a.jsonl': jsonLines(...names.map((query) => ({ query, positive: 'p' }))) }, '');
    for (const gone of [[0], [19], [0, 1, 2], [3, 4, 9, 10, 11, 18], [17, 18, 19], names.slice(1).map((_, i) => i)]) {
      const rest = withoutExamples(source, Float64Array.from(gone));
      expect((await texts(rest)).map(([query]) => query)).toEqual(names.filter((_, i) => !gone.includes(i)));
    }
    await source.close();
  });

  test('have the numbers that joining gives them', async () => {
    const source = await openPairs([await folder(MARCO), await folder(BEIR)]);
    expect(Array.from(await source.findByQuery(isWanted))).toEqual([0, 2, 4, 5]);
    await source.close();
  });
});

describe('what is no training data', () => {
  test.each<[string, Record<string, string>, string, string, RegExp]>([
    ['a folder without any', { 'a.txt': '' }, '', 'ERR_DATA_FORMAT', /no other \.jsonl file, expected training data/],
    ['a file of another kind', { 'a.csv': 'q,p' }, 'a.csv', 'ERR_DATA_FORMAT', /named "\.csv", expected \.jsonl/],
    ['a packed file', { 'a.jsonl.gz': 'x' }, 'a.jsonl.gz', 'ERR_DATA_FORMAT', /\(unpacked\)/],
    ['an empty file', { 'a.jsonl': '\n' }, 'a.jsonl', 'ERR_FILE_EMPTY', /expected an object with query and positive/],
    [
      'two files of triples',
      { ...MARCO, 'qidpidtriples.small.tsv': '' },
      '',
      'ERR_DATA_FORMAT',
      /has 2 files qidpidtriples/,
    ],
    ['a path that is not there', {}, 'gone.jsonl', 'ERR_FILE_NOT_FOUND', /gone\.jsonl does not exist/],
  ])('%s is refused', async (_, files, name, code, message) => {
    const error = await rejected(open(files, name));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  test('no path at all is refused', async () => {
    expect((await rejected(openPairs([]))).code).toBe('ERR_DATA_FORMAT');
  });
});

test('the fingerprint follows the content of every file, not its place', async () => {
  const fingerprintOf = async (files: Record<string, string>) => {
    const source = await open(files, '');
    await source.close();
    return source.fingerprint;
  };
  const original = await fingerprintOf(BEIR);
  expect(await fingerprintOf(BEIR)).toBe(original);
  for (const name of ['corpus.jsonl', 'queries.jsonl'] as const) {
    expect(await fingerprintOf({ ...BEIR, [name]: `${BEIR[name]}{"_id":"z","text":"new"}\n` })).not.toBe(original);
  }
  expect(await fingerprintOf({ ...BEIR, 'qrels/train.tsv': `${BEIR['qrels/train.tsv']}q1\td2\t1\n` })).not.toBe(
    original,
  );
});

test('files in the place of those of BEIR folders are refused, unless another source takes them', async () => {
  const beir = await folder(BEIR);
  for (const name of ['corpus', 'queries', 'qrels'] as const) {
    const error = await rejected(openPairs([beir], { [name]: join(beir, 'corpus.jsonl') }));
    expect(error.code).toBe('ERR_OPTION_VALUE');
    expect(error.message).toContain(`${name} is `);
  }
  const pairs = await folder({ 'a.jsonl': jsonLines({ query: 'q', positive: 'p' }) });
  const source = await openPairs([beir, join(pairs, 'a.jsonl')], { corpus: join(beir, 'corpus.jsonl') });
  await source.close();
});

test('judgements of an empty document or query make no example, and a note says so', async () => {
  const files = {
    ...BEIR,
    'corpus.jsonl': jsonLines({ _id: 'd1', title: ' ', text: '\n' }, { _id: 'd2', title: 'Ants', text: '' }),
    'queries.jsonl': jsonLines({ _id: 'q1', text: 'what flies' }, { _id: 7, text: '' }),
    'qrels/train.tsv': 'query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t1\n7\td2\t1\n',
  };
  const source = await open(files, '');
  expect(await texts(source)).toEqual([['what flies', 'Ants']]);
  expect(source.notes).toEqual([
    expect.stringMatching(/^2 judgements of .*train.tsv have an empty query or document; they are left out$/),
  ]);
  await source.close();
});
