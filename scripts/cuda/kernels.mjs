// Compiles a file of kernels and reads what came out: registers, memory and instructions of each kernel on each
// architecture. Results are kept by the hash of all that they depend on.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { cublasVersion } from '../cuda-toolkit.mjs';
import { root } from '../tools.mjs';

export const ARCHITECTURES = ['sm_80', 'sm_90'];
export const FOLDER = join(root, 'build-cuda-static');
const INCLUDES = [join(root, 'cuda'), join(root, 'cpp')];
const includeFlags = INCLUDES.map((folder) => `-I${folder}`);
/** As cuda/CMakeLists.txt has it, and the report of ptxas. */
const NVCC_FLAGS = [
  ...['-std=c++20', '-O3', '-Werror', 'all-warnings', '-Xptxas', '-v', '-Xcompiler', '-fPIC,-fvisibility=hidden'],
  ...ARCHITECTURES.map((name) => `-gencode=arch=${name.replace('sm', 'compute')},code=${name}`),
  '-gencode=arch=compute_90,code=compute_90',
];
const HOST_FLAGS = ['-std=c++20', '-O2', '-Wall', '-Wextra', '-Werror', '-fPIC', '-fvisibility=hidden'];

const execute = promisify(execFile);
const MOST_OUTPUT = { maxBuffer: 1 << 28 };

/** Standard output and error of a program; an error with its messages where it fails. */
async function output(program, args, environment = {}) {
  try {
    return await execute(program, args, { ...MOST_OUTPUT, cwd: root, env: { ...process.env, ...environment } });
  } catch (error) {
    throw new Error(`ERR_BUILD ${basename(program)} ${args.at(-1)} failed\n${error.stderr ?? error.message}`);
  }
}

/** A source with the headers of this package that it includes, each once, headers first; without the emulator. */
export function sourceOf(path, seen = new Set()) {
  seen.add(path);
  const own = readFileSync(path, 'utf8');
  let text = '';
  for (const [, name] of own.matchAll(/^\s*#\s*include\s*"(?!emulate\/)([^"]+)"/gm)) {
    const header = [dirname(path), ...INCLUDES].map((folder) => join(folder, name)).find(existsSync);
    if (header !== undefined && !seen.has(header)) text += sourceOf(header, seen);
  }
  return text + own;
}

/** What of a source a compiler sees. */
export const withoutComments = (text) => text.replace(/\/\/.*|\/\*[\s\S]*?\*\//g, '').replace(/\s+/g, ' ');

/** `make(stem)` unless a file `stem`.json of the same hash is there; what it then holds. Older ones go. */
async function kept(name, hashed, make) {
  const hash = createHash('sha256').update(JSON.stringify(hashed)).digest('hex').slice(0, 16);
  const stem = join(FOLDER, `${name}-${hash}`);
  if (!existsSync(`${stem}.json`)) {
    mkdirSync(FOLDER, { recursive: true });
    const stale = readdirSync(FOLDER).filter((file) => file.startsWith(`${name}-`));
    for (const file of stale) rmSync(join(FOLDER, file));
    writeFileSync(`${stem}.json`, JSON.stringify((await make(stem)) ?? {}));
  }
  return { object: `${stem}.o`, ...JSON.parse(readFileSync(`${stem}.json`, 'utf8')) };
}

/** Instructions of SASS that are counted, and how each begins. */
const COUNTED = {
  HMMA: /^HMMA\b/,
  IMMA: /^IMMA\b/,
  LDSM: /^LDSM\b/,
  LDGSTS: /^LDGSTS\b/,
  BAR: /^BAR\b/,
  // Also the loops of compare-and-swap that float atomics in shared memory become.
  floatAtomics: /^(?:RED|ATOM)[A-Z]*\.(?=.*(?:F16|F32|F64|BF16|CAS))/,
};

/** What ptxas says, by architecture and mangled name. */
function resources(log) {
  const found = {};
  let kernel = {};
  for (const line of log.split('\n')) {
    const entry = /Compiling entry function '(\w+)' for '(\w+)'/.exec(line);
    if (entry !== null) {
      kernel = {};
      found[entry[2]] = { ...found[entry[2]], [entry[1]]: kernel };
    }
    const memory = /(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads/.exec(line);
    if (memory !== null)
      Object.assign(kernel, { stack: Number(memory[1]), spills: Number(memory[2]) + Number(memory[3]) });
    const used = /Used (\d+) registers/.exec(line);
    if (used === null) continue;
    kernel.registers = Number(used[1]);
    kernel.staticShared = Number(/(\d+) bytes smem/.exec(line)?.[1] ?? 0);
  }
  return found;
}

const INSTRUCTION_BYTES = 16;

/** Where a line of SASS branches back to, and where it stands; behind its end every kernel has a branch to itself. */
function branchBack(line) {
  const [, at, to] = /^\s+\/\*([0-9a-f]{4,})\*\/[^;]*\bBRA\b[^;]*\b0x([0-9a-f]+)\s*;/.exec(line) ?? [];
  const [first, last] = [Number.parseInt(to, 16), Number.parseInt(at, 16)];
  return first < last ? { first, last } : undefined;
}

/** Instructions of the longest loop that has no other in it. */
function longestLoop(loops) {
  const innermost = loops.filter(
    (loop) => !loops.some((o) => o !== loop && o.first >= loop.first && o.last <= loop.last),
  );
  return Math.max(0, ...innermost.map(({ first, last }) => (last - first) / INSTRUCTION_BYTES + 1));
}

/** Adds the counts of instructions to what is known of the kernels. */
export function countInstructions(sass, found) {
  let architecture;
  let kernel = {};
  let loops = [];
  for (const line of sass.split('\n')) {
    architecture = /arch = (\w+)/.exec(line)?.[1] ?? architecture;
    const name = /Function : (\S+)/.exec(line)?.[1];
    if (name !== undefined) {
      kernel = found[architecture][name];
      for (const key in COUNTED) kernel[key] = 0;
      kernel.loop = 0;
      loops = [];
    }
    const code = /^\s+\/\*[0-9a-f]{4,}\*\/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)/.exec(line)?.[1];
    if (code === undefined) continue;
    for (const key in COUNTED) kernel[key] += COUNTED[key].test(code) ? 1 : 0;
    const loop = branchBack(line);
    if (loop === undefined) continue;
    loops.push(loop);
    kernel.loop = longestLoop(loops);
  }
}

/** `attend<Tf32, 64>` of `void fles::cuda::(anonymous namespace)::attend<fles::cuda::Tf32, 64>(Attention)`. */
export function shortName(demangled) {
  const plain = demangled
    .replace(/\(anonymous namespace\)::/g, '')
    .replace(/\bfles::(?:cuda::)?/g, '')
    .replace(/\((?:int|bool|unsigned int)\)/g, '');
  const signature = plain.replace(/^(?:static )?void /, '');
  let depth = 0;
  let end = 0;
  while (end < signature.length && !(signature[end] === '(' && depth === 0)) {
    depth += { '<': 1, '>': -1 }[signature[end]] ?? 0;
    ++end;
  }
  return signature.slice(0, end);
}

/** {object, kernels: {architecture: {name: facts}}} of a file of kernels. */
export function compileKernels(toolkit, path) {
  const name = basename(path, '.cu');
  return kept(
    `kernels-${name}`,
    [
      toolkit.version,
      NVCC_FLAGS,
      String(Object.values(COUNTED)),
      String(countInstructions),
      withoutComments(sourceOf(path)),
    ],
    async (stem) => {
      const object = `${stem}.o`;
      const { stderr } = await output(toolkit.nvcc, [...NVCC_FLAGS, ...includeFlags, '-o', object, '-c', path]);
      const found = resources(stderr);
      const PATH = `${dirname(toolkit.cuobjdump)}${delimiter}${process.env.PATH}`;
      countInstructions((await output(toolkit.cuobjdump, ['-sass', object], { PATH })).stdout, found);
      const mangled = [...new Set(Object.values(found).flatMap(Object.keys))];
      const demangled =
        mangled.length === 0 ? [] : (await output('c++filt', mangled)).stdout.trim().split('\n').map(shortName);
      const names = new Map(mangled.map((symbol, i) => [symbol, demangled[i]]));
      const named = (kernels) => Object.fromEntries(Object.entries(kernels).map(([k, facts]) => [names.get(k), facts]));
      return { kernels: Object.fromEntries(Object.entries(found).map(([arch, kernels]) => [arch, named(kernels)])) };
    },
  );
}

/** An object of a source for the host, against the real headers of CUDA and, where they are, of cuBLAS, or of another one. */
export function compileHost(toolkit, path, cublas = toolkit.cublas) {
  const headers = [...(cublas === null ? [] : [cublas]), toolkit.include];
  const prefix = cublas === toolkit.cublas ? 'host' : `cublas-${cublasVersion(cublas)}`;
  return kept(
    `${prefix}-${basename(path, '.cpp')}`,
    [toolkit.version, headers, HOST_FLAGS, withoutComments(sourceOf(path))],
    async (stem) => {
      const system = headers.flatMap((folder) => ['-isystem', folder]);
      await output('g++', [...HOST_FLAGS, ...includeFlags, ...system, '-o', `${stem}.o`, '-c', path]);
    },
  );
}

/** Makes sure that cmake can make a build of cuda/CMakeLists.txt with this nvcc. */
export async function configure(toolkit) {
  const folder = join(FOLDER, 'cmake');
  rmSync(folder, { recursive: true, force: true });
  await output('cmake', [`-DCMAKE_CUDA_COMPILER=${toolkit.nvcc}`, '-B', folder, '-S', 'cuda']);
}

/** The library of all objects, in which no symbol may be missing. */
export async function link(toolkit, objects) {
  const library = join(FOLDER, 'fles-cuda.so');
  const libraries = [`-L${toolkit.lib}`, '-lcudart_static', '-ldl', '-lrt', '-lpthread'];
  await output('g++', ['-shared', '-Wl,-z,defs', '-o', library, ...objects, ...libraries]);
  return library;
}
