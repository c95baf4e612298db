import { existsSync } from 'node:fs';
import { access, appendFile, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { ResumableOutput, withOutput } from '../../lib/cli/resumable-output';
import { collect, temporaryFolder } from './temporary';

const fingerprint = { model: 'm', threshold: 0 };
let folder: string;
let path: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder, 'out.jsonl');
});

async function interrupted(...lines: string[]) {
  const output = await ResumableOutput.create(path, fingerprint);
  for (const line of lines) await output.append(line);
  return output.suspend();
}

async function linesOf(output: ResumableOutput) {
  return (await collect(output.lines())).map(({ text }) => text);
}

test('the final name appears when the output is whole, and nothing else stays', async () => {
  const output = await ResumableOutput.create(path, fingerprint);
  await output.append('one\n');
  await output.append('two\n');
  await expect(access(path)).rejects.toThrow();
  await output.finish();
  expect(await readFile(path, 'utf8')).toBe('one\ntwo\n');
  expect(await readdir(folder)).toEqual(['out.jsonl']);
});

test('an interrupted output goes on where it was', async () => {
  expect(await interrupted('one\n', 'two\n')).toBe(true);
  const output = await ResumableOutput.resume(path, fingerprint);
  expect(await linesOf(output)).toEqual(['one', 'two']);
  await output.append('three\n');
  await output.finish();
  expect(await readFile(path, 'utf8')).toBe('one\ntwo\nthree\n');
});

test('a last line torn by a kill is cut off', async () => {
  await interrupted('one\n');
  await appendFile(`${path}.partial`, 'tw');
  const output = await ResumableOutput.resume(path, fingerprint);
  expect(await linesOf(output)).toEqual(['one']);
  await output.append('two\n');
  await output.finish();
  expect(await readFile(path, 'utf8')).toBe('one\ntwo\n');
});

test('a torn line longer than the block that is searched is cut off whole', async () => {
  await interrupted('one\n');
  await appendFile(`${path}.partial`, 'x'.repeat(200_000));
  const output = await ResumableOutput.resume(path, fingerprint);
  expect(output.resumedBytes).toBe(4);
  await output.suspend();
});

test('an interrupted output of no lines leaves nothing behind', async () => {
  expect(await interrupted()).toBe(false);
  expect(await readdir(folder)).toEqual([]);
});

test('resuming with other options is refused, naming them, and keeps what is there', async () => {
  await interrupted('one\n');
  await expect(ResumableOutput.resume(path, { model: 'm', threshold: 0.3 })).rejects.toMatchObject({
    code: 'ERR_RESUME_MISMATCH',
    message: expect.stringContaining('threshold 0, now 0.3'),
  });
  expect(await readFile(`${path}.partial`, 'utf8')).toBe('one\n');
});

test('resuming without a record of the options is refused', async () => {
  await writeFile(`${path}.partial`, 'one\n');
  await expect(ResumableOutput.resume(path, fingerprint)).rejects.toMatchObject({ code: 'ERR_RESUME_MISMATCH' });
});

test('resuming where nothing was started starts', async () => {
  const output = await ResumableOutput.resume(path, fingerprint);
  expect(output.resumedBytes).toBe(0);
  await output.append('one\n');
  await output.finish();
  expect(await readFile(path, 'utf8')).toBe('one\n');
});

test('starting anew replaces a partial output', async () => {
  await interrupted('old\n');
  const output = await ResumableOutput.create(path, fingerprint);
  await output.append('new\n');
  await output.finish();
  expect(await readFile(path, 'utf8')).toBe('new\n');
});

test('a run whose unfinished output was replaced by another run does not finish it', async () => {
  const first = await ResumableOutput.create(path, fingerprint);
  await first.append('one\n');
  const second = await ResumableOutput.create(path, fingerprint);
  await second.append('half of ');
  await expect(first.finish()).rejects.toMatchObject({ code: 'ERR_OUTPUT_BUSY' });
  await expect(access(path)).rejects.toThrow();
  await second.append('two\n');
  await second.finish();
  expect(await readFile(path, 'utf8')).toBe('half of two\n');
});

test('a run that gives up leaves the unfinished output of another run alone', async () => {
  const first = await ResumableOutput.create(path, fingerprint);
  const second = await ResumableOutput.create(path, fingerprint);
  expect(await first.suspend()).toBe(false);
  await second.append('two\n');
  await second.finish();
  expect(await readdir(folder)).toEqual(['out.jsonl']);
});

test('two runs do not write the same output at once, and the second is told', async () => {
  const { signal } = new AbortController();
  await withOutput(path, signal, async () => {
    await expect(withOutput(path, signal, async () => {})).rejects.toMatchObject({
      code: 'ERR_OUTPUT_BUSY',
      message: expect.stringContaining(path),
    });
  });
  await expect(withOutput(path, signal, async () => 'free again')).resolves.toBe('free again');
  expect(await readdir(folder)).toEqual([]);
});

const full = existsSync('/dev/full');
test.skipIf(!full)(
  `a full disk is reported and nothing gets the final name${full ? '' : ' (skipped: there is no /dev/full)'}`,
  async () => {
    await symlink('/dev/full', `${path}.partial`);
    await writeFile(`${path}.partial.json`, JSON.stringify(fingerprint));
    const output = await ResumableOutput.resume(path, fingerprint);
    const line = `${'x'.repeat(1000)}\n`;
    const writeMuch = async () => {
      for (let i = 0; i < 1000; i++) await output.append(line);
    };
    await expect(writeMuch()).rejects.toMatchObject({ code: 'ERR_DISK_FULL', message: expect.stringContaining(path) });
    await output.suspend();
    await expect(access(path)).rejects.toThrow();
  },
);
