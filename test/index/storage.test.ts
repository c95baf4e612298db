import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { IndexDocument } from '../../lib/index/build';
import { InvertedIndex } from '../../lib/index/inverted-index';
import { temporaryFolder } from './temporary';

const { root } = temporaryFolder();
/** An empty folder of its own, so that what a build leaves beside the index can be listed. */
const emptyFolder = () => mkdtempSync(join(root, 'folder-'));
const compiled = join(__dirname, '../../dist/index/inverted-index.js');
const needsBuild = existsSync(compiled) ? '' : ' (skipped: needs "npm run build:lib")';
const isRoot = process.getuid?.() === 0;

const OLD: IndexDocument[] = [{ id: 'old', vector: { sea: 1 } }];
const NEW: IndexDocument[] = [
  { id: 'new', vector: { sea: 2, ship: 1 } },
  { id: 'newer', vector: { ship: 3 } },
];

async function idsIn(directory: string): Promise<string[]> {
  const index = await InvertedIndex.open(directory);
  const hits = await index.search({ sea: 1, ship: 1 }, { k: 10 });
  index.close();
  return hits.map(({ id }) => id).sort();
}

test('documents come from arrays, generators and async generators alike', async () => {
  const folder = emptyFolder();
  async function* later() {
    for (const document of NEW) {
      await new Promise((done) => setTimeout(done, 1));
      yield document;
    }
  }
  for (const [i, documents] of [NEW, new Set(NEW), NEW.values(), later()].entries()) {
    const index = await InvertedIndex.build(join(folder, `${i}`), documents);
    index.close();
    expect(await idsIn(join(folder, `${i}`))).toEqual(['new', 'newer']);
  }
  expect(readdirSync(folder)).toEqual(['0', '1', '2', '3']);
  expect(readdirSync(join(folder, '3'))).toEqual(['index.fles']);
});

test('an index replaces the one that stands in its directory, unless overwriting is off', async () => {
  const folder = emptyFolder();
  const directory = join(folder, 'deep/er');
  (await InvertedIndex.build(directory, OLD)).close();
  await expect(InvertedIndex.build(directory, NEW, { overwrite: false })).rejects.toMatchObject({
    code: 'ERR_INDEX_EXISTS',
  });
  expect(await idsIn(directory)).toEqual(['old']);
  (await InvertedIndex.build(`${directory}/`, NEW)).close();
  expect(await idsIn(directory)).toEqual(['new', 'newer']);
  expect(readdirSync(join(folder, 'deep'))).toEqual(['er']);
});

test('overwrite is true or false, and nothing else is taken for one of them', async () => {
  const directory = join(emptyFolder(), 'index');
  (await InvertedIndex.build(directory, OLD)).close();
  for (const overwrite of ['false', null, 0]) {
    const build = InvertedIndex.build(directory, NEW, { overwrite: overwrite as never });
    await expect(build).rejects.toMatchObject({ code: 'ERR_OPTION_VALUE' });
  }
  expect(await idsIn(directory)).toEqual(['old']);
});

test('arguments of another type are refused before anything is written', async () => {
  const folder = emptyFolder();
  for (const [documents, options, what, code = 'ERR_ARGUMENT_TYPE'] of [
    [undefined, {}, 'documents is undefined'],
    [null, {}, 'documents is null'],
    ['text', {}, 'documents is "text"'],
    [{ id: 'a', vector: {} }, {}, 'documents is an object'],
    [async function* () {}, {}, 'documents is a function'],
    [NEW, { signal: {} }, 'signal is an object', 'ERR_OPTION_VALUE'],
    [NEW, { signal: null }, 'signal is null', 'ERR_OPTION_VALUE'],
    [NEW, { onProgress: 3 }, 'onProgress is 3', 'ERR_OPTION_VALUE'],
  ] as const) {
    const build = InvertedIndex.build(join(folder, 'parent/index'), documents as never, options as never);
    await expect(build).rejects.toMatchObject({ code, message: expect.stringContaining(what) });
  }
  expect(readdirSync(folder)).toEqual([]);
});

test('a name as long as the file system takes is taken, a longer one refused', async () => {
  const folder = emptyFolder();
  (await InvertedIndex.build(join(folder, 'x'.repeat(255)), NEW)).close();
  expect(await idsIn(join(folder, 'x'.repeat(255)))).toEqual(['new', 'newer']);
  const refused = { code: 'ERR_FILE_NAME' };
  await expect(InvertedIndex.build(join(folder, 'x'.repeat(256)), NEW)).rejects.toMatchObject(refused);
  await expect(InvertedIndex.open(join(folder, 'x'.repeat(256)))).rejects.toMatchObject(refused);
});

test('of two builds at once that must not replace an index one is refused', async () => {
  const directory = join(emptyFolder(), 'index');
  const builds = [OLD, NEW].map((documents) => InvertedIndex.build(directory, documents, { overwrite: false }));
  const ends = await Promise.allSettled(builds);
  const failed = ends.filter((end) => end.status === 'rejected');
  expect(failed.map(({ reason }) => reason.code)).toEqual(['ERR_INDEX_EXISTS']);
  for (const end of ends) if (end.status === 'fulfilled') end.value.close();
  expect(await idsIn(directory)).toEqual(ends[0]!.status === 'fulfilled' ? ['old'] : ['new', 'newer']);
  expect(readdirSync(directory)).toEqual(['index.fles']);
});

test('a directory without a name is refused', async () => {
  await expect(InvertedIndex.build('', NEW)).rejects.toMatchObject({ code: 'ERR_INDEX_DIRECTORY' });
  await expect(InvertedIndex.open('')).rejects.toMatchObject({ code: 'ERR_INDEX_DIRECTORY' });
});

test('a build ends when it is aborted, also while a document is waited for', async () => {
  const folder = emptyFolder();
  const controller = new AbortController();
  async function* stalled() {
    yield OLD[0]!;
    setTimeout(() => controller.abort(), 10);
    await new Promise(() => {});
  }
  const build = InvertedIndex.build(join(folder, 'index'), stalled(), { signal: controller.signal });
  await expect(build).rejects.toMatchObject({ name: 'AbortError' });
  expect(readdirSync(folder)).toEqual([]);
});

test.skipIf(!existsSync('/proc/self/fd'))('a build that fails keeps no file open', async () => {
  const open = () =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).includes('postings.scratch');
      } catch {
        return false;
      }
    });
  for (let i = 0; i < 5; i++) {
    await expect(InvertedIndex.build(join(emptyFolder(), 'index'), [...OLD, ...OLD])).rejects.toMatchObject({
      code: 'ERR_ID_DUPLICATE',
    });
  }
  expect(open()).toEqual([]);
});

test.skipIf(process.platform === 'win32')('a named pipe in the place of the index is refused', async () => {
  const folder = emptyFolder();
  spawnSync('mkfifo', [join(folder, 'index.fles')]);
  await expect(InvertedIndex.open(folder)).rejects.toMatchObject({ code: 'ERR_FILE_KIND' });
  await expect(InvertedIndex.build(folder, NEW)).rejects.toMatchObject({ code: 'ERR_INDEX_DIRECTORY' });
});

test('an empty directory and a link to a directory are built in', async () => {
  const folder = emptyFolder();
  mkdirSync(join(folder, 'real'));
  symlinkSync('real', join(folder, 'link'));
  (await InvertedIndex.build(join(folder, 'link'), OLD)).close();
  (await InvertedIndex.build(join(folder, 'link'), NEW)).close();
  expect(await idsIn(join(folder, 'real'))).toEqual(['new', 'newer']);
  expect(readdirSync(folder)).toEqual(['link', 'real']);
});

test('a directory with something else in it and a file are refused and left alone', async () => {
  const folder = emptyFolder();
  mkdirSync(join(folder, 'photos'));
  writeFileSync(join(folder, 'photos/cat.jpg'), 'a cat');
  await expect(InvertedIndex.build(join(folder, 'photos'), NEW)).rejects.toMatchObject({ code: 'ERR_INDEX_DIRECTORY' });
  writeFileSync(join(folder, 'photos/index.fles'), 'no index');
  await expect(InvertedIndex.build(join(folder, 'photos'), NEW)).rejects.toMatchObject({ code: 'ERR_INDEX_DIRECTORY' });
  await expect(InvertedIndex.build(join(folder, 'photos/cat.jpg'), NEW)).rejects.toMatchObject({
    code: 'ERR_FILE_KIND',
  });
  await expect(InvertedIndex.build(join(folder, 'photos/cat.jpg/x'), NEW)).rejects.toMatchObject({
    code: 'ERR_FILE_KIND',
  });
  expect(readdirSync(join(folder, 'photos'))).toEqual(['cat.jpg', 'index.fles']);
});

test(`an unwritable place is refused${isRoot ? ' (as root: only what root cannot write)' : ''}`, async () => {
  const folder = emptyFolder();
  chmodSync(folder, 0o555);
  const directory = isRoot ? '/proc/fles-index' : join(folder, 'index');
  await expect(InvertedIndex.build(directory, NEW)).rejects.toMatchObject({
    code: expect.stringMatching(/^ERR_FILE_(ACCESS|NOT_FOUND)$/),
  });
  chmodSync(folder, 0o755);
});

test('a build that fails or is aborted leaves the old index and nothing beside it', async () => {
  const folder = emptyFolder();
  const directory = join(folder, 'index');
  (await InvertedIndex.build(directory, OLD)).close();
  function* failing(): Generator<IndexDocument> {
    for (let i = 0; i < 10_000; i++) yield { id: `d${i}`, vector: { sea: 1 } };
    throw new Error('the source broke');
  }
  await expect(InvertedIndex.build(directory, failing())).rejects.toThrow('the source broke');
  const controller = new AbortController();
  function* aborting(): Generator<IndexDocument> {
    yield* NEW;
    controller.abort();
    yield { id: 'last', vector: { sea: 1 } };
  }
  await expect(InvertedIndex.build(directory, aborting(), { signal: controller.signal })).rejects.toMatchObject({
    name: 'AbortError',
  });
  const duplicate = [...NEW, ...NEW];
  await expect(InvertedIndex.build(directory, duplicate)).rejects.toMatchObject({ code: 'ERR_ID_DUPLICATE' });
  expect(await idsIn(directory)).toEqual(['old']);
  expect(readdirSync(folder)).toEqual(['index']);
  expect(readdirSync(directory)).toEqual(['index.fles']);
});

test('a build fails for the reason that came first, not for what the core says of earlier documents', async () => {
  const folder = emptyFolder();
  const controller = new AbortController();
  // A batch is full with the second of two documents of one id, which the core finds while the source goes on.
  function* broken(end: () => void): Generator<IndexDocument> {
    for (let i = 0; i < 4096; i++) yield { id: `d${i % 4095}`, vector: { sea: 1 } };
    end();
    yield* NEW;
  }
  const throwing = broken(() => {
    throw new Error('the source broke');
  });
  await expect(InvertedIndex.build(join(folder, 'index'), throwing)).rejects.toThrow('the source broke');
  const aborting = broken(() => controller.abort(new Error('enough')));
  await expect(InvertedIndex.build(join(folder, 'index'), aborting, { signal: controller.signal })).rejects.toThrow(
    'enough',
  );
  await expect(
    InvertedIndex.build(
      join(folder, 'index'),
      broken(() => {}),
    ),
  ).rejects.toMatchObject({
    code: 'ERR_ID_DUPLICATE',
  });
  expect(readdirSync(folder)).toEqual([]);
});

test('a build into a directory without an index that fails leaves no directory, or an empty one as it was', async () => {
  const folder = emptyFolder();
  mkdirSync(join(folder, 'empty'));
  for (const name of ['none', 'empty']) {
    await expect(InvertedIndex.build(join(folder, name), [...NEW, ...NEW])).rejects.toMatchObject({
      code: 'ERR_ID_DUPLICATE',
    });
  }
  expect(readdirSync(folder)).toEqual(['empty']);
  expect(readdirSync(join(folder, 'empty'))).toEqual([]);
});

test('what a killed build has left in a directory does not keep an index from being built there', async () => {
  const folder = emptyFolder();
  mkdirSync(join(folder, '.tmp-1-ab'));
  writeFileSync(join(folder, '.tmp-1-ab/postings.scratch'), 'half');
  (await InvertedIndex.build(folder, NEW)).close();
  expect(await idsIn(folder)).toEqual(['new', 'newer']);
});

test('a failed build stops reading its documents', async () => {
  let closed = false;
  async function* endless(): AsyncGenerator<IndexDocument> {
    try {
      for (let i = 0; ; i++) yield { id: i === 9_000 ? 'd0' : `d${i}`, vector: { sea: 1 } };
    } finally {
      closed = true;
    }
  }
  await expect(InvertedIndex.build(join(emptyFolder(), 'index'), endless())).rejects.toMatchObject({
    code: 'ERR_ID_DUPLICATE',
  });
  expect(closed).toBe(true);
});

test('progress ends with the number of documents', async () => {
  const seen: number[] = [];
  const documents = Array.from({ length: 10_000 }, (_, i) => ({ id: `d${i}`, vector: { sea: 1 } }));
  const index = await InvertedIndex.build(join(emptyFolder(), 'index'), documents, { onProgress: (n) => seen.push(n) });
  index.close();
  expect(seen.length).toBeGreaterThan(1);
  expect(seen.at(-1)).toBe(10_000);
});

// Builds the index argv[2] from 3,000 documents whose terms begin with argv[3], over and over.
const CHILD = `
  const { InvertedIndex } = require(process.argv[1]);
  (async () => {
    for (let round = 0; ; round++) {
      const documents = Array.from({ length: 3000 }, (_, i) => {
        return { id: 'r' + round + 'd' + i, vector: Object.fromEntries(Array.from({ length: 20 }, (_, n) => ['t' + ((i * 7 + n * n) % 500), n + 1])) };
      });
      const index = await InvertedIndex.build(process.argv[2], documents);
      index.close();
      process.stdout.write(round + '\\n');
      if (process.argv[3] === 'once') break;
    }
  })().catch((error) => { process.stdout.write(error.code + ' ' + error.message); process.exitCode = 1; });`;

test.skipIf(needsBuild !== '')(`a process killed at any time leaves a whole index${needsBuild}`, async () => {
  const directory = join(emptyFolder(), 'index');
  let found = 0;
  for (let kill = 0; kill < 12; kill++) {
    const child = spawn(process.execPath, ['-e', CHILD, compiled, directory]);
    const first = await new Promise((done) => child.stdout.once('data', (data) => done(String(data))));
    expect(first).toBe('0\n');
    await new Promise((done) => setTimeout(done, 5 * kill));
    child.kill('SIGKILL');
    await new Promise((done) => child.once('exit', done));
    const index = await InvertedIndex.open(directory);
    const hits = await index.search({ t1: 1 }, { k: 3000 });
    // All documents are of one round.
    expect(new Set(hits.map(({ id }) => id.split('d')[0])).size).toBe(1);
    expect(index.info).toMatchObject({ documents: 3000 });
    found += hits.length;
    index.close();
  }
  expect(found).toBeGreaterThan(0);
});

test.skipIf(needsBuild !== '' || process.platform === 'win32')(
  `a disk without room fails the build and keeps the old index${needsBuild}`,
  async () => {
    const folder = emptyFolder();
    const directory = join(folder, 'index');
    (await InvertedIndex.build(directory, OLD)).close();
    // The limit on a file's size stands in for a full disk: 100 blocks are less than the index needs.
    const { stdout } = spawnSync(
      'sh',
      ['-c', 'ulimit -f 100; exec "$0" "$@"', process.execPath, '-e', CHILD, compiled, directory, 'once'],
      { encoding: 'utf8' },
    );
    expect(stdout).toMatch(/^ERR_FILE_IO .*write failed/);
    expect(await idsIn(directory)).toEqual(['old']);
    expect(readdirSync(folder)).toEqual(['index']);
    expect(readdirSync(directory)).toEqual(['index.fles']);
  },
);
