import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type OpenPairsOptions, openPairs, type PairSource, withoutExamples } from '../../../lib/train/data';
import { temporaryFolder } from '../../cli/temporary';
import { rejected } from '../../eval/thrown';

/** A folder with these files. */
async function folder(files: Record<string, string>): Promise<string> {
  const directory = await temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), content);
  }
  return directory;
}

const jsonLines = (...values: object[]) => values.map((value) => `${JSON.stringify(value)}\n`).join('');

/** Opens one of the files of a folder, or the folder itself for ''. */
async function open(files: Record<string, string>, name: string, options?: OpenPairsOptions) {
  return openPairs(join(await folder(files), name), options);
}

/** All examples as arrays of texts: query, positive, negatives. */
async function texts(source: PairSource) {
  const examples = await source.examples(Array.from({ length: source.size }, (_, i) => i));
  return examples.map(({ query, positive, negatives }) => [query, positive, ...negatives].map(({ text }) => text));
}

async function poolTexts({ pool }: PairSource) {
  return (await pool.documents(Array.from({ length: pool.size }, (_, i) => i))).map(({ text }) => text);
}

/** Whether each document of the pool is known to answer the query of each example. */
async function positiveTable(source: PairSource) {
  const examples = await source.examples(Array.from({ length: source.size }, (_, i) => i));
  const pool = await source.pool.documents(Array.from({ length: source.pool.size }, (_, i) => i));
  return examples.map(({ query }) => pool.map(({ key }) => Number(source.isPositive(query.key, key))).join(''));
}

const BEIR = {
  'corpus.jsonl': jsonLines(
    { _id: 'd1', title: 'Bees', text: 'They fly.' },
    { _id: 'd2', title: '', text: 'Ants walk.' },
    { _id: 'd3', text: 'Worms crawl.' },
  ),
  'queries.jsonl': jsonLines(
    { _id: 'q1', text: 'what flies' },
    { _id: 'q2', text: 'unjudged' },
    { _id: 7, text: 'moves' },
  ),
  'qrels/train.tsv': 'query-id\tcorpus-id\tscore\nq1\td1\t2\n7\td2\t1\n7\td3\t0\n7\td1\t1\n',
  'qrels/dev.tsv': 'query-id\tcorpus-id\tscore\nq2\td3\t1\n',
};

const MARCO = {
  'collection.tsv': '0\tzero\n1\tone\n2\ttwo\n3\tthree\n',
  'queries.train.tsv': '11\televen\n5\tfive\n8\teight\n',
  'qidpidtriples.train.full.2.tsv': '5\t0\t3\n11\t1\t2\n5\t0\t1\n',
};

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
