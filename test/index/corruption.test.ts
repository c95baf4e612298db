import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { InvertedIndex } from '../../lib/index/inverted-index';
import { random, type Weights } from './brute-force';
import { temporaryFolder } from './temporary';

const { fresh } = temporaryFolder();

async function smallIndex(): Promise<Buffer> {
  const next = random(9);
  const documents = Array.from({ length: 40 }, (_, i) => {
    const vector: Weights = {};
    for (let n = 0; n < 5; n++) vector[`term${Math.floor(12 * next())}`] = 0.1 + next();
    return { id: `d${i}`, vector };
  });
  const directory = fresh();
  (await InvertedIndex.build(directory, documents)).close();
  return readFileSync(join(directory, 'index.fles'));
}

/** The code of the error that opening these bytes gives; '' when they open. */
async function opened(bytes: Uint8Array): Promise<string> {
  const directory = fresh();
  mkdirSync(directory);
  writeFileSync(join(directory, 'index.fles'), bytes);
  try {
    (await InvertedIndex.open(directory)).close();
    return '';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

test('one changed byte anywhere is refused', async () => {
  const good = await smallIndex();
  expect(await opened(good)).toBe('');
  const seen = new Set<string>();
  for (let at = 0; at < good.length; at++) {
    const bad = Buffer.from(good);
    bad[at]! ^= 1 << (at % 8);
    seen.add(await opened(bad));
  }
  expect([...seen].sort()).toEqual(['ERR_INDEX_CHECKSUM', 'ERR_INDEX_MAGIC', 'ERR_INDEX_VERSION']);
});

test('a file that is cut short or goes on is refused', async () => {
  const good = await smallIndex();
  for (let length = 0; length < good.length; length += length < 200 ? 1 : 61) {
    expect(await opened(good.subarray(0, length))).toBe('ERR_FILE_TRUNCATED');
  }
  expect(await opened(Buffer.concat([good, Buffer.alloc(1)]))).toBe('ERR_FILE_TRUNCATED');
});

test('an index of another version says which, and what to do', async () => {
  const bytes = await smallIndex();
  bytes.writeUInt32LE(7, 8);
  const directory = fresh();
  mkdirSync(directory);
  writeFileSync(join(directory, 'index.fles'), bytes);
  await expect(InvertedIndex.open(directory)).rejects.toMatchObject({
    code: 'ERR_INDEX_VERSION',
    message: expect.stringMatching(/version 7, this build reads version 1; build the index again/),
  });
});

test('a damaged section is named', async () => {
  const bytes = await smallIndex();
  bytes[128]! ^= 1;
  const directory = fresh();
  mkdirSync(directory);
  writeFileSync(join(directory, 'index.fles'), bytes);
  await expect(InvertedIndex.open(directory)).rejects.toThrow(/index\.fles: section "document ids" \(bytes 128\.\./);
});

test('what is no index, or not there, is refused', async () => {
  await expect(InvertedIndex.open(fresh())).rejects.toMatchObject({ code: 'ERR_FILE_NOT_FOUND' });
  expect(await opened(Buffer.from('x'.repeat(1000)))).toBe('ERR_INDEX_MAGIC');
  const directory = fresh();
  mkdirSync(join(directory, 'index.fles'), { recursive: true });
  await expect(InvertedIndex.open(directory)).rejects.toMatchObject({ code: 'ERR_FILE_KIND' });
  await expect(InvertedIndex.open(3 as unknown as string)).rejects.toMatchObject({ code: 'ERR_ARGUMENT_TYPE' });
});
