import { appendFileSync } from 'node:fs';
import { appendFile, truncate, utimes, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { LineFile } from '../../../lib/train/data/line-file';
import { temporaryFile } from '../../cli/temporary';
import { rejected } from '../../eval/thrown';

type Options = NonNullable<Parameters<typeof LineFile.open>[3]>;

/** Opens a file, with the lines and numbers that it showed. */
async function openFile(path: string, options?: Options) {
  const seen: [number, string][] = [];
  const file = await LineFile.open(
    path,
    'lines',
    (bytes, begin, end, number) => seen.push([number, bytes.toString('utf8', begin, end)]),
    options,
  );
  return { file, seen };
}

const open = async (content: string | Uint8Array, options?: Options) =>
  openFile(await temporaryFile('lines', content), options);

test('lines are shown once with their numbers and read by number in any order', async () => {
  const { file, seen } = await open('one\ntwo\nthree');
  expect(seen).toEqual([
    [1, 'one'],
    [2, 'two'],
    [3, 'three'],
  ]);
  expect(file.count).toBe(3);
  expect(await file.read([2, 0, 1, 0])).toEqual(['three', 'one', 'two', 'one']);
  await file.close();
});

test('a byte order mark, CRLF and blank lines are no part of the lines', async () => {
  const { file, seen } = await open('\ufeffone\r\n\r\n \t\ntwo \r\n\n\nthree\r\n\n');
  expect(seen).toEqual([
    [1, 'one'],
    [4, 'two '],
    [7, 'three'],
  ]);
  expect(await file.read([0, 1, 2])).toEqual(['one', 'two ', 'three']);
  await file.close();
});

test('a line of NUL, which a crash has left, is not taken for a blank one', async () => {
  const { file, seen } = await open('one\n\0\0\0\n\v\f\ntwo\n');
  expect(seen).toEqual([
    [1, 'one'],
    [2, '\0\0\0'],
    [4, 'two'],
  ]);
  await file.close();
});

test.each([1, 2, 3, 4, 7, 64])('with %i places kept at most every line reads as it was written', async (mostPlaces) => {
  const lines = Array.from({ length: 100 }, (_, i) => `${i} ${'é'.repeat(i % 13)}`);
  const { file, seen } = await open(`${lines.join('\n\n')}\n`, { mostPlaces });
  expect(seen.map(([, line]) => line)).toEqual(lines);
  expect(Math.ceil(lines.length / file.stride)).toBeLessThanOrEqual(mostPlaces);
  expect(await file.read([...lines.keys()])).toEqual(lines);
  await file.close();
});

test('lines across the borders of chunks, and longer than a chunk, are whole', async () => {
  const lines = ['a'.repeat(2 ** 20 - 3), 'ü'.repeat(700_000), 'b', 'c'.repeat(3 * 2 ** 20), 'd'];
  const { file, seen } = await open(lines.join('\n'));
  expect(seen.map(([, line]) => line)).toEqual(lines);
  expect(await file.read([4, 3, 2, 1, 0])).toEqual(lines.toReversed());
  await file.close();
});

test('a second look shows every line again', async () => {
  const { file, seen } = await open('one\n\ntwo\n');
  const again: [number, string][] = [];
  await file.visit((bytes, begin, end, number) => again.push([number, bytes.toString('utf8', begin, end)]));
  expect(again).toEqual(seen);
  await file.close();
});

test('the fingerprint is that of the content', async () => {
  const files = await Promise.all([open('one\ntwo'), open('one\ntwo'), open('one\ntwp')]);
  const [a, b, c] = files.map(({ file }) => file.fingerprint);
  expect(a).toMatch(/^[0-9a-f]{64}$/);
  expect([a === b, a === c]).toEqual([true, false]);
  await Promise.all(files.map(({ file }) => file.close()));
});

test('progress ends at the size of the file', async () => {
  const calls: number[][] = [];
  const { file } = await open('a\n'.repeat(2 ** 20), { onProgress: (...call) => calls.push(call) });
  expect(calls.at(-1)).toEqual([2 ** 21, 2 ** 21]);
  expect(calls.length).toBeGreaterThan(1);
  await file.close();
});

describe('a file that is written to', () => {
  test.each<[string, (path: string) => Promise<void>]>([
    ['appended to', (path) => appendFile(path, 'more\n')],
    ['cut off', (path) => truncate(path, 5)],
    ['overwritten in the same size', (path) => writeFile(path, 'ONE\nTWO\n').then(() => utimes(path, 1, 1))],
  ])('is noticed when it was %s', async (_, change) => {
    const path = await temporaryFile('lines', 'one\ntwo\n');
    const { file } = await openFile(path);
    expect(await file.read([1])).toEqual(['two']);
    await change(path);
    const error = await rejected(file.read([0]));
    expect(error.code).toBe('ERR_DATA_CHANGED');
    expect(error.message).toContain(path);
    await file.close();
  });

  test('is the same when it was only touched', async () => {
    const path = await temporaryFile('lines', 'one\ntwo\n');
    const { file } = await openFile(path);
    await utimes(path, 1, 1);
    expect(await file.read([1])).toEqual(['two']);
    await writeFile(path, 'one\nTWO\n');
    expect((await rejected(file.read([0]))).code).toBe('ERR_DATA_CHANGED');
    await file.close();
  });

  test('is noticed while it is opened', async () => {
    const path = await temporaryFile('lines', 'one\n'.repeat(10));
    const opening = LineFile.open(path, 'lines', (_, begin) => {
      if (begin === 0) appendFileSync(path, 'more\n');
    });
    expect((await rejected(opening)).code).toBe('ERR_DATA_CHANGED');
  });
});

describe('what cannot be opened', () => {
  test.each<[string, string, string | Uint8Array, RegExp]>([
    ['an empty file', 'ERR_FILE_EMPTY', '', /is empty, expected lines$/],
    ['a file of blank lines', 'ERR_FILE_EMPTY', '\n \n', /is empty, expected lines$/],
    ['gzip', 'ERR_FILE_COMPRESSED', gzipSync('one\n'), /is gzip, .* unpack it first$/],
    ['Parquet', 'ERR_FILE_COMPRESSED', 'PAR1\x15...', /is Parquet/],
    ['bytes that are not UTF-8', 'ERR_TEXT_ENCODING', Buffer.from('6f6b0aff0a', 'hex'), /lines:2 is not valid UTF-8/],
    ['half a character at the end', 'ERR_TEXT_ENCODING', Buffer.from('6f6b0ac3', 'hex'), /lines:2 is not valid UTF-8/],
    ['a line of more than 16 MiB', 'ERR_LINE_LENGTH', `a\n${'b'.repeat(2 ** 24 + 1)}\n`, /lines:2 is longer than/],
    ['one without an end', 'ERR_LINE_LENGTH', `a\n${'b'.repeat(2 ** 24 + 1)}`, /lines:2 is longer than/],
  ])('%s is refused', async (_, code, content, message) => {
    const error = await rejected(open(content));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  test('a line of exactly 16 MiB is read', async () => {
    const { file } = await open(`${'b'.repeat(2 ** 24)}\r\nc`);
    const [long, short] = await file.read([0, 1]);
    expect([long!.length, short]).toEqual([2 ** 24, 'c']);
    await file.close();
  });

  test('a folder and a device are refused', async () => {
    for (const path of ['/dev', '/dev/null']) {
      const error = await rejected(openFile(path));
      expect(error.code).toBe('ERR_FILE_KIND');
      expect(error.message).toMatch(new RegExp(`^${path} `));
    }
  });

  test('a path that does not exist is named', async () => {
    const error = await rejected(openFile('/nowhere/lines'));
    expect(error.code).toBe('ERR_FILE_NOT_FOUND');
    expect(error.message).toContain('/nowhere/lines');
  });

  test('an aborted signal ends the opening with its reason', async () => {
    const path = await temporaryFile('lines', 'one\n');
    const reason = new Error('enough');
    await expect(openFile(path, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});
