import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as fles from '../lib';

const model = join(__dirname, 'fixtures/models/bert-odd');
const library = join(__dirname, '../examples/library');

/** Arguments that make no sense to anybody. No string among them may be the id of a model on the hub. */
const NONSENSE: readonly unknown[][] = [
  ...[[], [undefined], [null], [3], ['./nowhere'], [{}], [[]], [[3]], [[{}]], [() => {}]],
  ...[
    ['./nowhere', null],
    ['./nowhere', 3],
    ['./nowhere', { signal: {} }],
    ['./nowhere', { onProgress: 3 }],
  ],
  ...[
    ['./nowhere', new Map([['q', 3]])],
    ['./nowhere', './nowhere', './nowhere'],
  ],
  ...[
    [null, null, null],
    [3, 3, 3, 3],
    [[], null],
    [[], { signal: {} }],
    [[], [], []],
  ],
  ...[
    [new Map(), new Map(), null],
    [new Map([['q', 3]]), new Map([['q', 3]])],
    [new Map(), { signal: {} }],
  ],
];

/** What a call throws, also of the first value of a generator; undefined when it throws nothing. */
async function thrownBy(call: () => unknown): Promise<unknown> {
  try {
    const result = await call();
    if (typeof result === 'object' && result !== null && Symbol.asyncIterator in result) {
      for await (const _ of result as AsyncIterable<unknown>) break;
    }
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Calls that threw anything else than a FlesError. */
async function unnamed(calls: Record<string, (...parameters: never[]) => unknown>): Promise<string[]> {
  const wrong: string[] = [];
  for (const [name, call] of Object.entries(calls)) {
    for (const [i, parameters] of NONSENSE.entries()) {
      const error = await thrownBy(() => call(...(parameters as never[])));
      if (error !== undefined && !(error instanceof fles.FlesError)) wrong.push(`${name}, nonsense ${i}: ${error}`);
    }
  }
  return wrong;
}

test('every public function answers nonsense with a FlesError', async () => {
  const calls: Record<string, () => unknown> = {};
  for (const [name, value] of Object.entries(fles)) {
    if (typeof value !== 'function' || name === 'FlesError') continue;
    const isClass = /^class/.test(String(value));
    if (!isClass) calls[name] = value as () => unknown;
    for (const made of isClass ? Object.getOwnPropertyNames(value) : []) {
      const member = (value as unknown as Record<string, unknown>)[made];
      if (typeof member === 'function') calls[`${name}.${made}`] = member.bind(value);
    }
  }
  expect(Object.keys(calls).length).toBeGreaterThan(30);
  expect(await unnamed(calls)).toEqual([]);
});

const PATHS: Record<string, (path: string) => unknown> = {
  'InvertedIndex.open': (path) => fles.InvertedIndex.open(path),
  'InvertedIndex.build': (path) => fles.InvertedIndex.build(path, []),
  'Tokenizer.load': (path) => fles.Tokenizer.load(path),
  readModel: (path) => fles.readModel(path),
  readQrels: (path) => fles.readQrels(path),
  readRun: (path) => fles.readRun(path, { name: 'a run' }),
  readTexts: (path) => fles.readTexts(path),
  readBeir: (path) => fles.readBeir(path, 'test'),
  writeRun: (path) => fles.writeRun(path, new Map()),
  openPairs: (path) => fles.openPairs(path),
  createModel: (path) => fles.createModel(path, { texts: [] }),
  writeTrainReport: (path) => fles.writeTrainReport('./nowhere.html', [path]),
  'Trainer.run': (path) => new fles.Trainer({ model: './absent', output: path }).run(),
};

test.each(Object.keys(PATHS))('%s names a path with a NUL', async (name) => {
  // In C a string ends there: it must not be taken for the path of another file.
  const error = await thrownBy(() => PATHS[name]!(`${library}/corpus.jsonl\0`));
  expect(error).toMatchObject({ code: 'ERR_FILE_NAME' });
  expect(error).toBeInstanceOf(fles.FlesError);
});

test('an empty path is shown as such, and nothing is written to the current directory for it', async () => {
  expect(await thrownBy(() => fles.readRun(''))).toMatchObject({ message: '"" does not exist; check the path' });
  for (const name of ['createModel', 'InvertedIndex.build']) {
    expect(await thrownBy(() => PATHS[name]!(''))).toMatchObject({
      message: expect.stringContaining('is "", expected a path'),
    });
  }
});

test('a report of no run is refused', async () => {
  expect(await thrownBy(() => fles.writeTrainReport('./nowhere.html', []))).toMatchObject({ code: 'ERR_REPORT_EMPTY' });
});

describe('what is loaded', () => {
  let encoder: fles.FLES1Encoder;
  let tokenizer: fles.Tokenizer;
  let bm25: fles.Bm25Index;
  let source: fles.PairSource;
  let dataset: fles.BeirDataset;
  const temporary = mkdtempSync(join(tmpdir(), 'fles-arguments-'));

  beforeAll(async () => {
    encoder = await fles.FLES1Encoder.fromPretrained(model);
    tokenizer = await fles.Tokenizer.load(model);
    source = await fles.openPairs(library, { split: 'test' });
    dataset = await fles.readBeir(library, 'test');
    bm25 = await fles.Bm25Index.build([{ id: 'a', title: '', text: 'bees' }]);
  });
  afterAll(async () => {
    encoder.dispose();
    await source.close();
    rmSync(temporary, { recursive: true });
  });

  test('answers nonsense with a FlesError too', async () => {
    const matrix = await encoder.encodeBatch(['red', 'wine']);
    const vector = matrix.row(0);
    const none = async () => [];
    const wrong = await unnamed({
      encode: encoder.encode.bind(encoder),
      encodeBatch: encoder.encodeBatch.bind(encoder),
      encodeStream: encoder.encodeStream.bind(encoder),
      encodeDense: encoder.encodeDense.bind(encoder),
      tokens: tokenizer.encodeBatch.bind(tokenizer),
      wordPieces: tokenizer.wordPieces.bind(tokenizer),
      wordPiecesBatch: tokenizer.wordPiecesBatch.bind(tokenizer),
      dot: vector.dot.bind(vector),
      explain: vector.explain.bind(vector),
      row: matrix.row.bind(matrix),
      search: bm25.search.bind(bm25),
      sparsity: bm25.sparsity.bind(bm25),
      examples: source.examples.bind(source),
      documents: source.pool.documents.bind(source.pool),
      findByQuery: source.findByQuery.bind(source),
      mineNegatives: (...rest: never[]) => fles.mineNegatives(source, none, ...(rest as unknown as [never])),
      mineNegativesBy: (search: never) => fles.mineNegatives(source, search, MINE),
      findLeaks: (...rest: never[]) => fles.findLeaks(source, ...(rest as unknown as [never])),
      joinPairs: (other: never) => fles.joinPairs([source, other]),
      withoutExamples: (numbers: never) => fles.withoutExamples(source, numbers),
      streamBatches: (...rest: never[]) => fles.streamBatches(source, ...(rest as unknown as [never, never])),
      bm25Search: (options: never) => fles.bm25Search(source.pool, options),
      encoderSearch: (...rest: never[]) =>
        fles.encoderSearch(source.pool, encoder, ...(rest as unknown as [never, never, never])),
      runSearch: (...rest: never[]) => fles.runSearch(source.pool, ...(rest as unknown as [never, never, never])),
      compare: (...rest: never[]) => fles.compare(dataset, ...(rest as unknown as [never])),
      evaluate: (...rest: never[]) => fles.evaluate(dataset.qrels, ...(rest as unknown as [never])),
      fromPretrained: (options: never) => thrownAfterLoading(options),
    });
    expect(wrong).toEqual([]);
  });

  async function thrownAfterLoading(options: never) {
    (await fles.FLES1Encoder.fromPretrained(model, options)).dispose();
  }

  const MINE: fles.MineOptions = { count: 1, from: 1, to: 9, draw: 'first', seed: 0 };

  test.each<[string, () => unknown, string, string]>([
    [
      'a signal',
      () => encoder.encode('a', { signal: {} as never }),
      'ERR_OPTION_VALUE',
      'signal is an object, expected an',
    ],
    [
      'a callback',
      () => encoder.encode('a', { onProgress: 3 as never }),
      'ERR_OPTION_VALUE',
      'onProgress is 3, expected a f',
    ],
    [
      'no documents',
      () => fles.Bm25Index.build(undefined as never),
      'ERR_ARGUMENT_TYPE',
      'documents is undefined, expec',
    ],
    ['a text', () => fles.Bm25Index.build(['a'] as never), 'ERR_ARGUMENT_TYPE', 'document 0 is "a", expected {id, '],
    [
      'a document without title',
      () => fles.Bm25Index.build([{ id: 'a', text: 'b' }] as never),
      'ERR_ARGUMENT_TYPE',
      'title of document 0 is undefined, expected a string',
    ],
    [
      'a text to learn a vocabulary from',
      () => fles.createModel(temporary, { texts: ['a', 3] as never }),
      'ERR_ARGUMENT_TYPE',
      'texts[1] is 3, expected a string',
    ],
    [
      'a signal of a training run',
      () => new fles.Trainer({ model: './absent', output: './nowhere' }).run({ signal: 3 as never }),
      'ERR_OPTION_VALUE',
      'signal is 3, expected an AbortSignal',
    ],
    ['no file', () => fles.readQrels(undefined as never), 'ERR_ARGUMENT_TYPE', 'source is undefined, expected'],
    [
      'bytes that are none',
      () => fles.readRun([3] as never),
      'ERR_ARGUMENT_TYPE',
      'the source yields 3, expected a Uint8',
    ],
    [
      'an object',
      async () => (await encoder.encode('a')).dot({ a: 1 } as never),
      'ERR_ARGUMENT_TYPE',
      'the other vector',
    ],
    [
      'judgements',
      () => fles.evaluate({ q: 1 } as never, new Map()),
      'ERR_ARGUMENT_TYPE',
      'qrels is an object, expected a Map',
    ],
    [
      'one metric',
      () => fles.evaluate(dataset.qrels, new Map(), { metrics: 'map' as never }),
      'ERR_ARGUMENT_TYPE',
      'metrics is',
    ],
    [
      'no data',
      () => fles.openPairs(undefined as never),
      'ERR_ARGUMENT_TYPE',
      'paths is undefined, expected an array of',
    ],
    [
      'no options',
      () => fles.mineNegatives(source, async () => [], undefined as never),
      'ERR_ARGUMENT_TYPE',
      'the options are',
    ],
    [
      'no query',
      () => bm25.search(undefined as never, 2),
      'ERR_ARGUMENT_TYPE',
      'the query is undefined, expected a string',
    ],
    [
      'no k',
      () => fles.searchDense({} as never, [], {} as never, undefined as never),
      'ERR_ARGUMENT_TYPE',
      'the options are',
    ],
  ])('%s that is none is named', async (_, call, code, message) => {
    expect(await thrownBy(call)).toMatchObject({ code, message: expect.stringContaining(message) });
  });

  test.each<[string, () => unknown, string]>([
    ['Bm25Index.build', () => fles.Bm25Index.build([], { k1: 2 } as never), 'fields'],
    ['evaluate', () => fles.evaluate(dataset.qrels, new Map(), { metric: ['map'] } as never), 'metrics'],
    ['randomisationTest', () => fles.randomisationTest(new Map(), new Map(), { sample: 1 } as never), 'samples'],
    ['compare', () => fles.compare(dataset, [], { threshold: [0] } as never), 'thresholds'],
    [
      'writeComparison',
      () => fles.writeComparison('./nowhere', dataset, [], { threshold: [0] } as never),
      'thresholds',
    ],
    ['openPairs', () => fles.openPairs(library, { splt: 'test' } as never), 'split'],
    ['encodeBatch', () => tokenizer.encodeBatch(['a'], { maxlength: 3 } as never), 'maxLength'],
    ['mineNegatives', () => fles.mineNegatives(source, async () => [], { ...MINE, margins: 1 } as never), 'margin'],
    [
      'Trainer.run',
      () => new fles.Trainer({ model: './absent', output: './nowhere' }).run({ onSteps: () => {} } as never),
      'onStep',
    ],
    ['readRun', () => fles.readRun('./nowhere', { maxByte: 3 } as never), 'maxBytes'],
    [
      'findLeaks',
      () => fles.findLeaks(source, { name: 't', queries: new Map() }, { similar: 1 } as never),
      'similarity',
    ],
    ['searchDense', () => fles.searchDense({} as never, [], {} as never, { k: 1, signl: 1 } as never), 'signal'],
  ])('%s does not ignore an option that it does not know', async (_, call, known) => {
    expect(await thrownBy(call)).toMatchObject({ code: 'ERR_OPTION_UNKNOWN', message: expect.stringContaining(known) });
  });

  test('a draw that does not exist is refused', async () => {
    const error = await thrownBy(() => fles.mineNegatives(source, async () => [], { ...MINE, draw: 'x' as never }));
    expect(error).toMatchObject({ code: 'ERR_OPTION_VALUE', message: 'draw is "x", expected random | first' });
  });
});
