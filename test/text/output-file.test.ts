import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeTextFile } from '../../lib/text/output-file';
import { rejected } from '../eval/thrown';

const directory = () => mkdtempSync(join(tmpdir(), 'fles-'));

test('the chunks stand in the file in order, nothing else is left in the directory', async () => {
  const folder = directory();
  const large = 'x'.repeat(200_000);
  await writeTextFile(join(folder, 'a.txt'), ['one\n', large, '\nlast']);
  expect(readFileSync(join(folder, 'a.txt'), 'utf8')).toBe(`one\n${large}\nlast`);
  expect(readdirSync(folder)).toEqual(['a.txt']);
});

test('when the writer fails in the middle, the old file stays and no temporary one is left', async () => {
  const folder = directory();
  writeFileSync(join(folder, 'a.txt'), 'old');
  const failing = async function* () {
    yield 'x'.repeat(200_000);
    throw new Error('source failed');
  };
  await expect(writeTextFile(join(folder, 'a.txt'), failing())).rejects.toThrow('source failed');
  expect(readFileSync(join(folder, 'a.txt'), 'utf8')).toBe('old');
  expect(readdirSync(folder)).toEqual(['a.txt']);
});

test('a directory that does not exist is refused, naming the file', async () => {
  const error = await rejected(writeTextFile(join(directory(), 'absent', 'a.txt'), ['x']));
  expect(error.code).toBe('ERR_FILE_NOT_FOUND');
  expect(error.message).toContain('a.txt');
});

test('a directory under the final name is refused', async () => {
  expect((await rejected(writeTextFile(directory(), ['x']))).code).toBe('ERR_FILE_KIND');
});

test('a device is written in place: a file of that name would take its place', async () => {
  const link = join(directory(), 'null');
  symlinkSync('/dev/null', link);
  await writeTextFile(link, ['one\n', 'two\n']);
  expect(lstatSync(link).isSymbolicLink()).toBe(true);
  const full = join(directory(), 'full');
  symlinkSync('/dev/full', full);
  if (existsSync(full)) expect((await rejected(writeTextFile(full, ['x']))).code).toBe('ERR_DISK_FULL');
});
