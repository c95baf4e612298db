import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatVector, readVectors } from '../../lib/cli/vectors';
import { SparseVector } from '../../lib/sparse-vector';
import { collect, temporaryFile } from './temporary';

const vocabulary = ['bee', '2019', '"quoted"', '💐', 'honey'];

function vector(entries: [term: number, weight: number][]): SparseVector {
  return new SparseVector(
    Uint32Array.from(entries, ([term]) => term),
    Float32Array.from(entries, ([, weight]) => weight),
    vocabulary,
  );
}

async function read(content: string) {
  return collect(readVectors(await temporaryFile('vectors.jsonl', content)));
}

test('terms stand by weight, also those that look like numbers', () => {
  const line = formatVector(
    'd1',
    vector([
      [0, 1.5],
      [1, 0.25],
      [4, 2],
    ]),
  );
  expect(line).toBe('{"id":"d1","vector":{"honey":2,"bee":1.5,"2019":0.25}}\n');
});

test('an empty vector is an empty object', () => {
  expect(formatVector('a b', vector([]))).toBe('{"id":"a b","vector":{}}\n');
});

test('a weight has the fewest digits that read back as the same float32', () => {
  expect(
    formatVector(
      'a',
      vector([
        [0, 0.1],
        [1, 1 / 3],
      ]),
    ),
  ).toBe('{"id":"a","vector":{"2019":0.33333334,"bee":0.1}}\n');
});

test('what is written reads back as the same vector', async () => {
  const weight = fc.float({ min: Math.fround(1e-45), max: Math.fround(3e38), noNaN: true });
  const entries = fc.uniqueArray(fc.tuple(fc.nat(vocabulary.length - 1), weight), { selector: ([term]) => term });
  await fc.assert(
    fc.asyncProperty(entries, fc.string({ minLength: 1 }), async (pairs, id) => {
      const written = vector(pairs.sort((a, b) => a[0] - b[0]));
      const [record] = await read(formatVector(id, written));
      expect(record!.id).toBe(id);
      const read32 = Object.entries(record!.vector).map(([term, weight]) => [term, Math.fround(weight)] as const);
      expect(new Map(read32)).toEqual(new Map(written.entries()));
    }),
    { numRuns: 200 },
  );
});

test('texts in the place of vectors are known for what they are', async () => {
  const message = expect.stringMatching(/vectors\.jsonl:1 has no "vector", .*; fles encode makes vectors of texts$/);
  await expect(read('{"_id":"a","title":"","text":"a text"}\n')).rejects.toMatchObject({
    code: 'ERR_VECTOR_LINE',
    message,
  });
});

test.each([
  ['no vector', '{"id":"a"}\n', 'ERR_VECTOR_LINE'],
  ['a list for a vector', '{"id":"a","vector":[1]}\n', 'ERR_VECTOR_LINE'],
  ['a weight below 0', '{"id":"a","vector":{"x":-1}}\n', 'ERR_VECTOR_LINE'],
  ['a weight beyond float32', '{"id":"a","vector":{"x":1e39}}\n', 'ERR_VECTOR_LINE'],
  ['a weight that is text', '{"id":"a","vector":{"x":"1"}}\n', 'ERR_VECTOR_LINE'],
  ['no id', '{"vector":{"x":1}}\n', 'ERR_RECORD_FIELD'],
  ['an id seen before', '{"id":"a","vector":{}}\n{"id":"a","vector":{}}\n', 'ERR_ID_DUPLICATE'],
  ['nothing', '', 'ERR_FILE_EMPTY'],
])('a file with %s is refused', async (_, content, code) => {
  await expect(read(content)).rejects.toMatchObject({ code, message: expect.stringContaining('vectors.jsonl') });
});
