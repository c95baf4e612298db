// Builds of the emulated kernels and of fles-cuda-check in which single sources may be replaced: plain, for
// AddressSanitizer and for ThreadSanitizer.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { emulatedBuilds, finished, forEach, modified } from '../testing.mjs';
import { fail, root } from '../tools.mjs';
import { compiledWith, sources, textOf } from './mutants.mjs';

export const FOLDER = 'build-cuda/mutants';
const FLAGS = '-std=c++20 -O1 -fPIC -fvisibility=hidden -w -fno-strict-aliasing -pthread -Icuda -Icpp'.split(' ');

const newest = (folder) =>
  Math.max(...readdirSync(join(root, folder)).map((name) => modified(join(folder, name)), modified(folder)));
const must = ({ status, text }, what) => status === 0 || fail(`ERR_BUILD ${what}:\n${text}`);

/** A C++ source, whatever its name, to an object. */
function compile(build, source, object, engine = false) {
  const flags = [...FLAGS, ...(engine ? build.engine : build.kernels), '-DFLES_CUDA_EMULATED=1'];
  return finished(build.compiler, [...flags, '-x', 'c++', '-c', source, '-o', object]);
}
function link(build, objects, library) {
  return finished(build.compiler, [
    ...build.kernels,
    '-shared',
    '-pthread',
    '-Wl,-z,nodelete',
    ...objects,
    '-o',
    library,
  ]);
}

/** The CPU backend, which fles-cuda-check compares with, as it is shipped. */
function builtCore() {
  const core = 'build/libfles_core.a';
  return modified(core) > 0 ? core : fail(`ERR_BUILD ${core} is not there; \`npm run build:native\` makes it`);
}

/** Makes what is out of date of every build: its objects by source, its library and its check. */
export async function prepare() {
  const core = builtCore();
  const engine = readFileSync(join(root, 'cuda/emulate/sources.txt'), 'utf8').split('\n').filter(Boolean);
  const host = ['cuda/backend_cuda.cpp', 'cuda/device.cpp', 'cuda/fused_products.cpp', 'cpp/core/error.cpp'];
  const kernels = sources.filter((name) => name.endsWith('.cu')).map((name) => `cuda/${name}`);
  const check = 'cuda/check/main.cpp';
  const age = Math.max(...['cuda', 'cuda/emulate', 'cuda/check', 'cpp/core', 'cpp/ops', 'cpp/backend'].map(newest));
  const all = emulatedBuilds().map((build) => {
    const folder = `${FOLDER}/${build.name}`;
    const objects = new Map(
      [...kernels, ...host, ...engine, check].map((path) => [path, `${folder}/${basename(path)}.o`]),
    );
    return { ...build, objects, folder, library: `${folder}/fles-cuda.so`, check: `${folder}/fles-cuda-check` };
  });
  const old = all.flatMap((build) =>
    [...build.objects]
      .filter(([, object]) => modified(object) < age)
      .map(([source, object]) => ({ build, source, object })),
  );
  for (const { folder } of all) mkdirSync(join(root, folder), { recursive: true });
  await forEach(old, async ({ build, source, object }) =>
    must(await compile(build, source, object, engine.includes(source)), `${source} did not compile`),
  );
  for (const build of all) {
    const own = [...build.objects].filter(([source]) => source !== check).map(([, object]) => object);
    must(await link(build, own, build.library), `${build.library} did not link`);
    const program = [
      ...build.kernels,
      build.objects.get(check),
      join(root, core),
      '-pthread',
      '-ldl',
      '-o',
      build.check,
    ];
    must(await finished(build.compiler, program), `${build.check} did not link`);
  }
  return Object.fromEntries(all.map((build) => [build.name, build]));
}

/** The library of a build in which one file of cuda/ has another text; null when that does not compile. */
export async function mutantLibrary(build, { file, changed }, folder) {
  mkdirSync(join(root, folder), { recursive: true });
  // Kernels find each other beside themselves, the rest in cuda/.
  for (const name of sources) writeFileSync(join(root, folder, name), name === file ? changed : textOf(name));
  const objects = new Map(build.objects);
  objects.delete('cuda/check/main.cpp');
  for (const name of compiledWith(file)) {
    const object = join(folder, `${build.name}-${name}.o`);
    objects.set(`cuda/${name}`, object);
    if ((await compile(build, join(folder, name), object)).status !== 0) return null;
  }
  const library = join(folder, `${build.name}.so`);
  must(await link(build, [...objects.values()], library), `${library} did not link`);
  return library;
}

export const remove = (folder) => rmSync(join(root, folder), { recursive: true, force: true });
