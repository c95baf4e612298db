import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Consumer, pack, root, run, temporaryFolder } from './consumer';

const minutes = 60_000;
/** Stands for the library that nvcc makes; there is none where there is no CUDA. */
const emulated = 'build-cuda-emulated/fles-cuda-emulated.so';
const hasCuda = process.platform === 'linux' && !existsSync('/etc/alpine-release');
const temporary = temporaryFolder();
let unpacked: string;
let packed: string[];
let sourceArchive: string;
let prebuiltArchive: string;

beforeAll(async () => {
  for (const path of ['dist/index.js', 'build/Release/fles.node', ...(hasCuda ? [emulated] : [])]) {
    if (!existsSync(join(root, path))) throw new Error(`${path} is missing; run "npm run setup" first`);
  }
  // Packed twice: as this folder is, then with the prebuilt addon that is added for publishing.
  const archive = await pack(root, join(temporary.path, 'as-is'));
  await run(temporary.path, 'tar', 'xzf', archive);
  unpacked = join(temporary.path, 'package');
  await run(unpacked, 'rm', '-rf', 'prebuilds');
  sourceArchive = await pack(unpacked, join(temporary.path, 'source'));
  const list = await run(temporary.path, 'tar', 'tzf', sourceArchive);
  packed = list
    .split('\n')
    .filter(Boolean)
    .map((name) => name.replace(/^package\//, ''));
  await run(root, process.execPath, 'scripts/prebuilds.mjs', join(unpacked, 'prebuilds'), '--cuda', emulated);
  prebuiltArchive = await pack(unpacked, join(temporary.path, 'prebuilt'));
}, 2 * minutes);
afterAll(() => temporary.remove());

/** Those of the paths that the archive lacks. */
const missing = (paths: string[]) => paths.filter((path) => !packed.includes(path));

describe('the package', () => {
  test('has all that compiling it needs', () => {
    const sources = readFileSync(join(root, 'cpp/sources.txt'), 'utf8').split('\n').filter(Boolean);
    const build = ['CMakeLists.txt', 'binding.gyp', 'cpp/sources.txt', 'cpp/ops/ops.def'];
    const scripts = ['install', 'build-native', 'tools'].map((name) => `scripts/${name}.mjs`);
    expect(missing([...sources, ...build, ...scripts, 'scripts/sources.cjs'])).toEqual([]);
    const included = sources
      .flatMap((path) => [...readFileSync(join(root, path), 'utf8').matchAll(/#include "([^"]+)"/g)])
      .map(([, path]) => `cpp/${path}`);
    expect(included.length).toBeGreaterThan(50);
    expect(missing(included)).toEqual([]);
  });

  test('has what a user reads', () => {
    const documents = ['README.md', 'LICENSE', 'ARCHITECTURE.md', 'CHANGELOG.md', 'docs/cli.md', 'docs/models.md'];
    expect(missing(documents)).toEqual([]);
  });

  test('has types for every module and every file that package.json names', () => {
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const { import: esm, require: cjs } = manifest.exports['.'];
    const named = [manifest.main, manifest.types, manifest.bin.fles, ...Object.values(esm), ...Object.values(cjs)];
    expect(missing(named.map((path: string) => path.replace(/^\.\//, '')))).toEqual([]);
    const modules = packed.filter((path) => /^dist\/.*\.js$/.test(path));
    expect(modules.length).toBeGreaterThan(40);
    expect(missing(modules.map((path) => path.replace(/\.js$/, '.d.ts')))).toEqual([]);
  });

  test('has nothing else', () => {
    const wanted = [
      /^(package\.json|README\.md|LICENSE|ARCHITECTURE\.md|CHANGELOG\.md|CMakeLists\.txt|binding\.gyp)$/,
      /^cpp\/([a-z]+\/)+\w+\.(cpp|h|inl|def)$|^cpp\/(sources|cpu\/levels)\.txt$/,
      /^cuda\/(\w+\.(cpp|h|cu|cuh)|CMakeLists\.txt)$/,
      /^assets\/report\/report\.(css|js)$/,
      /^dist\/[\w/-]+\.(d\.ts|js)$|^dist\/index\.(mjs|d\.mts)$/,
      /^docs\/[\w/-]+\.(md|svg|png)$/,
      /^examples\/[\w/-]+\.(md|mjs|cjs|jsonl|tsv)$/,
      /^scripts\/(install|build-cuda|build-native|cuda-toolkit|tools)\.mjs$|^scripts\/sources\.cjs$/,
    ];
    expect(packed.filter((path) => !wanted.some((pattern) => pattern.test(path)))).toEqual([]);
    expect(statSync(sourceArchive).size).toBeLessThan(1 << 20);
  });
});

/** What must be so however the package was installed. */
function usable(consumer: () => Consumer) {
  test('require and import give the same names', async () => {
    const [cjs, esm] = [await consumer().use('cjs'), await consumer().use('mjs')];
    expect(cjs.names).toContain('FLES1Encoder');
    expect(esm.names).toEqual(cjs.names);
  });

  test('require and import give what works', async () => {
    expect(await consumer().use('cjs')).toMatchObject({ dot: 4.25 });
    const used = await consumer().use('mjs');
    expect(used).toMatchObject({ hits: [{ id: 'both', document: 0, score: 6 }], isFlesError: true });
  });

  test('the types serve both kinds of modules and find a misspelt option', async () => {
    expect(await consumer().checkTypes()).toBe('');
  });

  test('npx finds the program fles', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect((await consumer().fles('--version')).trim()).toBe(version);
    expect(await consumer().fles('info')).toContain(version);
  });
}

describe('installed from a prebuild without install scripts', () => {
  let consumer: Consumer;
  beforeAll(async () => {
    consumer = await Consumer.install(join(temporary.path, 'prebuilt-consumer'), prebuiltArchive, '--ignore-scripts');
  }, 5 * minutes);

  test('the addon is the one in prebuilds', async () => {
    const folder = `prebuilds/${process.platform}-${process.arch}/`;
    expect(await consumer.addon()).toMatch(new RegExp(`^${folder}fles(\\.glibc|\\.musl)?\\.node$`));
  });
  test.runIf(hasCuda)('the CUDA backend is the library beside it', async () => {
    expect(await consumer.fles('info')).toMatch(/backend cuda +emulated device/);
  });
  test.runIf(hasCuda)('a library that is no CUDA backend of the addon is not put there', async () => {
    const folder = join(temporary.path, 'wrong');
    const place = run(root, process.execPath, 'scripts/prebuilds.mjs', folder, '--cuda', 'package.json');
    await expect(place).rejects.toThrow(/ERR_BUILD .*package.json is no CUDA backend of this addon/);
    expect(existsSync(folder)).toBe(false);
  });
  usable(() => consumer);
});

const reason = process.env.CI ? '' : ' (skipped: compiles the core again, set CI=1 to run it)';
describe.skipIf(reason)(`installed from source, without a prebuild${reason}`, () => {
  let consumer: Consumer;
  beforeAll(async () => {
    consumer = await Consumer.install(join(temporary.path, 'source-consumer'), sourceArchive);
  }, 15 * minutes);

  test('the addon is the one that was compiled', async () => {
    expect(await consumer.addon()).toBe('build/Release/fles.node');
  });
  usable(() => consumer);
});
