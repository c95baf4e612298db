import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  findLeaks,
  guardAgainstLeaks,
  type LeakOptions,
  openPairs,
  readTestSet,
  type TestSet,
} from '../../../lib/train/data';
import { temporaryFolder } from '../../cli/temporary';
import { rejected } from '../../eval/thrown';

async function sourceOf(queries: readonly string[]) {
  const path = join(await temporaryFolder(), 'pairs.jsonl');
  await writeFile(path, queries.map((query) => `${JSON.stringify({ query, positive: 'p' })}\n`).join(''));
  return openPairs(path);
}

const testSet = (...queries: string[]): TestSet => ({
  name: 'tests',
  queries: new Map(queries.map((query, i) => [`t${i}`, query])),
});

/** Numbers of the training queries that leak, and the counts of examples by kind. */
async function leaksOf(train: readonly string[], tests: readonly string[], options?: LeakOptions) {
  const source = await sourceOf(train);
  const { numbers, leaks } = await findLeaks(source, testSet(...tests), options);
  await source.close();
  const { same, similar, judgements } = leaks;
  return { numbers: Array.from(numbers), counts: [same.examples, similar.examples, judgements.examples] };
}

test('queries with the same words are the same, whatever their case, punctuation and form of characters', async () => {
  const train = [
    'What is ＡＬＬ?',
    'what is  all',
    'What, is: all',
    'what is all about',
    'all is what',
    'cafe\u0301 au lait',
  ];
  expect(await leaksOf(train, ['What is ALL', 'Café au lait!'])).toEqual({ numbers: [0, 1, 2, 5], counts: [4, 0, 0] });
});

test('letters with other accents are other letters, and queries without words are compared as they are', async () => {
  expect((await leaksOf(['resume', '???', '!!!'], ['résumé', '???'])).numbers).toEqual([1]);
});

test.each<[number | undefined, number[]]>([
  [undefined, [0]],
  [1, [0, 1]],
  [0.8, [0, 1, 2]],
  [0.75, [0, 1, 2, 3]],
  [0.2, [0, 1, 2, 3, 4]],
])(
  'with a least similarity of %s just the queries that share such a part of the words of both leak',
  async (similarity, numbers) => {
    // Of a b c d: the same, another order, 4 of 5 words, 3 of 4, 1 of 5 and none.
    const train = ['A b c d', 'd c b a', 'a b c d e', 'a b c', 'd x', 'x y'];
    const found = await leaksOf(train, ['unrelated words here', 'a b c d'], { similarity });
    expect(found).toEqual({ numbers, counts: [1, numbers.length - 1, 0] });
  },
);

test('a query is similar to the test query nearest to it', async () => {
  const source = await sourceOf(['a b c d']);
  const { leaks } = await findLeaks(source, testSet('a b c x y', 'a b c d e', 'b c d x y'), { similarity: 0.3 });
  expect(leaks.similar.samples).toEqual([{ train: 'a b c d', test: 'a b c d e', testId: 't1', similarity: 0.8 }]);
  await source.close();
});

test('a report counts examples and test queries, and shows the first of each test query', async () => {
  const source = await sourceOf(['One?', 'two', 'one', 'ONE', 'three']);
  const report = await findLeaks(source, testSet('one', 'three', 'four'));
  expect(report).toMatchObject({ testQueries: 3, examples: 5 });
  expect(report.leaks.same).toEqual({
    examples: 4,
    testQueries: 2,
    samples: [
      { train: 'One?', test: 'one', testId: 't0', similarity: 1 },
      { train: 'three', test: 'three', testId: 't1', similarity: 1 },
    ],
  });
  await source.close();
});

test('a similarity of 0 or above 1 is refused', async () => {
  const source = await sourceOf(['a']);
  for (const similarity of [0, 1.1]) {
    expect((await rejected(findLeaks(source, testSet('b'), { similarity }))).code).toBe('ERR_OPTION_RANGE');
  }
  await source.close();
});

describe('what is done about leaks', () => {
  test('nothing, when they are reported', async () => {
    const source = await sourceOf(['a', 'b']);
    const guarded = await guardAgainstLeaks(source, testSet('A'), 'report');
    expect(guarded.source).toBe(source);
    expect(Array.from(guarded.report.numbers)).toEqual([0]);
    await source.close();
  });

  test('the examples are left out, when they are dropped', async () => {
    const source = await sourceOf(['a', 'b', 'a', 'c']);
    const guarded = await guardAgainstLeaks(source, testSet('A'), 'drop');
    const left = await guarded.source.examples([0, 1]);
    expect([guarded.source.size, ...left.map(({ query }) => query.text)]).toEqual([2, 'b', 'c']);
    await source.close();
  });

  test.each(['Fail', 'error', '', undefined])(
    'no other thing, such as %s, which would let them pass',
    async (action) => {
      const source = await sourceOf(['a', 'b']);
      const error = await rejected(guardAgainstLeaks(source, testSet('A'), action as 'fail'));
      expect([error.code, error.message]).toEqual([
        'ERR_OPTION_VALUE',
        expect.stringMatching(/^action is .*, expected report \| drop \| fail/),
      ]);
      await source.close();
    },
  );

  test('an error with counts and an example, when they fail, and none without leaks', async () => {
    const source = await sourceOf(['a', 'b']);
    const error = await rejected(guardAgainstLeaks(source, testSet('B!'), 'fail'));
    expect(error.code).toBe('ERR_DATA_LEAK');
    expect(error.message).toMatch(
      /^1 of 2 examples of .* give away queries of tests, .*: "b" in training, "B!" in the test/,
    );
    await expect(guardAgainstLeaks(source, testSet('c'), 'fail')).resolves.toMatchObject({ source });
    await source.close();
  });
});

test('a training query with exactly the relevant documents of a test query leaks, when judgements are given', async () => {
  const source = await sourceOf(['first', 'second', 'third', 'fourth']);
  const judged = (...ids: string[]) => new Map(ids.map((id) => [id, 1]));
  const train = {
    queries: new Map([
      ['a', 'first'],
      ['b', 'second'],
      ['c', 'third'],
      ['d', 'fourth'],
    ]),
    qrels: new Map([
      ['a', judged('d1', 'd2')],
      ['b', judged('d1')],
      ['c', new Map([...judged('d2', 'd1'), ['d3', 0]])],
      ['d', new Map([['d9', 0]])],
    ]),
  };
  const qrels = new Map([
    ['t0', judged('d2', 'd1')],
    ['t1', new Map([['d8', 0]])],
  ]);
  const tests = { ...testSet('a third of it', 'nothing relevant'), qrels };
  const report = await findLeaks(source, tests, { train });
  expect(Array.from(report.numbers)).toEqual([0, 2]);
  expect(report.leaks.judgements).toMatchObject({ examples: 2, testQueries: 1 });
  expect((await findLeaks(source, tests)).numbers.length).toBe(0);
  await source.close();
});

test('judgements of the training data are read where it is another split of the same folder', async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'qrels'));
  await writeFile(join(folder, 'queries.jsonl'), '{"_id":"q1","text":"one"}\n{"_id":"q2","text":"two"}\n');
  await writeFile(join(folder, 'qrels/dev.tsv'), 'q1 0 d1 1\n');
  await writeFile(join(folder, 'qrels/test.tsv'), 'q2 0 d1 1\n');
  const { test, train } = await readTestSet(folder, 'test', { paths: ['elsewhere', `${folder}/.`], split: 'dev' });
  expect([...test.queries]).toEqual([['q2', 'two']]);
  expect([...train!.queries]).toEqual([['q1', 'one']]);
  expect(await readTestSet(folder, 'test', { paths: 'elsewhere' })).not.toHaveProperty('train');
});

const { FLES_DATA: data } = process.env;

test.skipIf(!data)(
  'of NFCorpus 4 test queries stand in train and 58 have the relevant set of a train query (needs FLES_DATA)',
  async () => {
    const directory = join(data!, 'nfcorpus');
    const { test: tests, train } = await readTestSet(directory, 'test', { paths: directory });
    const source = await openPairs(directory);
    const { leaks } = await findLeaks(source, tests, { train });
    // The 4 have the same relevant set, too.
    expect([leaks.same.testQueries, leaks.judgements.testQueries]).toEqual([4, 54]);
    await source.close();
  },
);
