import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeDirectory } from '../lib/make-directory';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fles-directory-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('a directory is made with its parents, and may be there', async () => {
  const path = join(folder, 'a/b/c');
  await makeDirectory(path);
  await makeDirectory(path);
  expect(existsSync(path)).toBe(true);
});

test('many calls for the same directory at once agree', async () => {
  const path = join(folder, 'x/y/z');
  await Promise.all(Array.from({ length: 20 }, () => makeDirectory(path)));
  expect(existsSync(path)).toBe(true);
});

test('a file in the way is named', async () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  await expect(makeDirectory(file)).rejects.toMatchObject({ code: 'ERR_FILE_KIND' });
  await expect(makeDirectory(join(file, 'below'))).rejects.toMatchObject({ code: 'ERR_FILE_KIND' });
});

// Where there is no /proc, its missing parent makes this a directory that may not be made either.
test('a file system that refuses a child of an existing directory is not asked for ever', async () => {
  await expect(makeDirectory('/proc/fles/below')).rejects.toMatchObject({
    code: expect.stringMatching(/^ERR_FILE_|^E/),
  });
});
