import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';
// @ts-expect-error a script without types
import { BUGS, placesOf } from '../scripts/sanitized/bugs.mjs';

const root = join(__dirname, '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** Paths of the files under a folder whose names match, relative to the root. */
function filesUnder(folder: string, pattern: RegExp): string[] {
  const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
  return names.filter((name) => pattern.test(name)).map((name) => join(folder, name));
}

const foldersIn = (folder: string) =>
  readdirSync(join(root, folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);

/** What a test found wrong, and how much it looked at: a test that looked at nothing has shown nothing. */
function expectNothing(wrong: string[], { of, atLeast }: { of: number; atLeast: number }) {
  expect(of).toBeGreaterThanOrEqual(atLeast);
  expect(wrong).toEqual([]);
}

/** Rooms of cpp and those whose headers each may include besides its own. */
const cppRooms: Record<string, string[]> = {
  core: [],
  ops: ['core'],
  backend: ['core', 'ops'],
  cpu: ['core', 'ops', 'backend'],
  model: ['core', 'ops', 'backend'],
  train: ['core', 'ops', 'backend', 'model'],
  index: ['core'],
  node: ['core', 'ops', 'backend', 'cpu', 'model', 'train', 'index'],
};
/** The one place that knows every backend. */
const cppExceptions: Record<string, string> = { 'cpp/backend/registry.cpp': 'cpu' };

test('includes in cpp go one way: core, ops, backend, then cpu and model, then node; index needs core alone', () => {
  expect(foldersIn('cpp').sort()).toEqual(Object.keys(cppRooms).sort());
  const wrong: string[] = [];
  let looked = 0;
  for (const path of filesUnder('cpp', /\.(cpp|h|inl|def)$/)) {
    const room = path.split('/')[1]!;
    for (const [, included] of read(path).matchAll(/^\s*#\s*include\s*"([^"]+)"/gm)) {
      looked++;
      const target = included!.split('/')[0]!;
      const allowed = target === room || cppRooms[room]!.includes(target) || cppExceptions[path] === target;
      if (!allowed || !existsSync(join(root, 'cpp', included!))) wrong.push(`${path} includes "${included}"`);
    }
  }
  expectNothing(wrong, { of: looked, atLeast: 100 });
});

test('only cpp/node includes napi.h', () => {
  const paths = filesUnder('cpp', /\.(cpp|h|inl)$/).filter((path) => /#\s*include\s*[<"]napi\.h/.test(read(path)));
  const wrong = paths.filter((path) => !path.startsWith('cpp/node/'));
  expectNothing(wrong, { of: paths.length, atLeast: 3 });
});

/** Rooms of lib and those that each may import besides itself and the modules beside the rooms. */
const libRooms: Record<string, string[]> = {
  text: ['model'],
  model: ['text'],
  index: [],
  encode: ['model', 'text'],
  eval: ['index', 'text'],
  train: ['model', 'text', 'index', 'encode', 'eval'],
  cli: ['model', 'text', 'index', 'encode', 'eval', 'train'],
};
/** Modules beside the rooms: what the package exports, and the door to the addon, which names types of models. */
const libExceptions: Record<string, string[]> = {
  'lib/index.ts': ['model', 'text', 'index', 'encode', 'eval', 'train'],
  'lib/native.ts': ['model'],
};

test('imports in lib go one way: nothing imports cli, and neither text, index nor eval imports encode or train', () => {
  expect(foldersIn('lib').sort()).toEqual(Object.keys(libRooms).sort());
  const wrong: string[] = [];
  let looked = 0;
  for (const path of filesUnder('lib', /\.ts$/)) {
    const [, room = ''] = /^lib\/(\w+)\//.exec(path) ?? [];
    for (const [, , imported] of read(path).matchAll(/(from|import|require)\s*\(?\s*'(\.[^']*)'/g)) {
      looked++;
      const target = normalize(join(dirname(path), imported!));
      const [, targetRoom] = /^lib\/(\w+)(?:\/|$)/.exec(target) ?? [];
      const isRoom = targetRoom !== undefined && targetRoom in libRooms && existsSync(join(root, 'lib', targetRoom));
      // lib/index.ts, the public names, is for users: a module of the package imports what it needs from where it is.
      const allowed =
        isRoom && target !== 'lib/index'
          ? targetRoom === room || [...(libRooms[room] ?? []), ...(libExceptions[path] ?? [])].includes(targetRoom)
          : target !== 'lib';
      if (!allowed) wrong.push(`${path} imports '${imported}'`);
    }
  }
  expectNothing(wrong, { of: looked, atLeast: 100 });
});

test('cpp/sources.txt lists every source, once and in no other place', () => {
  const listed = read('cpp/sources.txt').split('\n').filter(Boolean);
  const present = filesUnder('cpp', /\.cpp$/);
  expect(listed.length).toBeGreaterThanOrEqual(20);
  expect([...listed].sort()).toEqual([...present].sort());
  for (const file of ['CMakeLists.txt', 'binding.gyp']) {
    // What has flags of its own may be named.
    const named = [...read(file).matchAll(/cpp\/\w+\/\w+\.cpp/g)].map(([path]) => path);
    expect(named.filter((path) => !/kernels_\w+\.cpp$/.test(path) || !listed.includes(path))).toEqual([]);
  }
});

test('every CPU level has its flags, its source, a target of its own and a place in the choice', () => {
  const levels = [...read('cpp/cpu/levels.txt').matchAll(/^\S+ (\S+) -/gm)].map(([, level]) => level!);
  expect(levels.length).toBeGreaterThanOrEqual(7);
  const sources = filesUnder('cpp/cpu', /kernels_\w+\.cpp$/).map((path) => /kernels_(\w+)\.cpp$/.exec(path)![1]!);
  expect(sources.filter((level) => level !== 'portable').sort()).toEqual([...levels].sort());
  const targets = [...read('binding.gyp').matchAll(/"target_name": "(\w+)", "type": "static_library"/g)];
  expect(targets.map(([, level]) => level)).toEqual(levels);
  for (const level of levels) expect(read('cpp/cpu/levels.cpp')).toContain(`${level}_kernels()`);
});

test('every op of the table has its header, its code for CPU and CUDA, its cases and its test', () => {
  const ops = [...read('cpp/ops/ops.def').matchAll(/^FLES_OP\((\w+), (\w+)\)/gm)];
  const wrong: string[] = [];
  for (const [, op, struct] of ops) {
    const code = [`cpp/ops/${op}.h`, `cpp/cpu/${op}.cpp`, `cuda/${op}.cu`];
    for (const path of [...code, `test/ops/${op}.cases.ts`, `test/ops/${op}.test.ts`]) {
      if (!existsSync(join(root, path))) wrong.push(`${op} has no ${path}`);
    }
    if (!read(`cpp/ops/${op}.h`).includes(`struct ${struct} {`)) wrong.push(`${op}.h does not define ${struct}`);
  }
  expectNothing(wrong, { of: ops.length, atLeast: 7 });
});

test('every bug that test:sanitized plants has its one place in the sources', () => {
  const bugs: { name: string; file: string }[] = BUGS;
  const wrong = bugs.filter((bug) => placesOf(bug, read(bug.file)) !== 1).map(({ name, file }) => `${file}: ${name}`);
  expectNothing(wrong, { of: bugs.length, atLeast: 10 });
});

test('no file is longer than 450 lines', () => {
  const paths = ['cpp', 'cuda', 'lib', 'test', 'bench', 'scripts', 'examples', '.ci'].flatMap((folder) =>
    filesUnder(folder, /\.(ts|mjs|cjs|cpp|h|inl|def|cu|cuh|py|java)$/i),
  );
  const wrong = paths.filter((path) => read(path).split('\n').length > 450);
  expectNothing(wrong, { of: paths.length, atLeast: 150 });
});

test('ARCHITECTURE.md names every room', () => {
  const text = read('ARCHITECTURE.md');
  const rooms = [...Object.keys(cppRooms), ...Object.keys(libRooms)];
  expectNothing(
    rooms.filter((room) => !new RegExp(`\\b${room}\\b`).test(text)),
    { of: rooms.length, atLeast: 12 },
  );
});

test('every link between the documents leads to a file', () => {
  const documents = [
    ...readdirSync(root).filter((name) => name.endsWith('.md')),
    ...['docs', 'examples', 'test/fixtures', 'cuda'].flatMap((folder) => filesUnder(folder, /\.md$/)),
  ];
  const wrong: string[] = [];
  let looked = 0;
  for (const path of documents) {
    for (const [, target] of read(path).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue;
      looked++;
      if (!existsSync(join(root, dirname(path), target!))) wrong.push(`${path} links to ${target}`);
    }
  }
  expectNothing(wrong, { of: looked, atLeast: 5 });
});
