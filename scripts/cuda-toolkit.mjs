// CUDA's compiler and what reads its output: those of the machine, or pinned wheels of PyPI in .cache of this package.
// They are NVIDIA's, under its licence: nothing of them is committed, and nothing published but the CUDA runtime, which is
// linked into the library of the backend.
//
//   node scripts/cuda-toolkit.mjs [--cublas]     prints where they are; --cublas: with the headers of cuBLAS and cuBLASLt (1.3 GB)
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fail, requireTool, root, run } from './tools.mjs';

/** The version of the wheels, which budgets of kernels hold for. */
export const PINNED = '13.0.88';
const WHEELS = [
  'nvidia-cuda-nvcc==13.0.88',
  'nvidia-nvvm==13.0.88',
  'nvidia-cuda-crt==13.0.88',
  'nvidia-cuda-runtime==13.0.96',
  'nvidia-cuda-cccl==13.0.85',
  'nvidia-cuda-cuobjdump==13.2.86', // there is none of 13.0 of these two
  'nvidia-cuda-nvdisasm==13.2.86',
];
/** The headers of cuBLAS and cuBLASLt: wheels by their major version, and where these have them. */
const CUBLAS = {
  11: ['nvidia-cublas-cu11==11.11.3.6', 'nvidia/cublas/include'],
  12: ['nvidia-cublas-cu12==12.1.3.1', 'nvidia/cublas/include'],
  13: ['nvidia-cublas==13.1.1.3', 'nvidia/cu13/include'],
};
const PROGRAMS = ['nvcc', 'cuobjdump', 'nvdisasm'];

const prefix = join(root, `.cache/cuda-${PINNED}`);
const HOME = 'nvidia/cu13'; // of the wheels
const wheels = join(prefix, HOME);

const isWhole = (home) => PROGRAMS.every((name) => existsSync(join(home, 'bin', name)));
const versionOf = (home) =>
  /release .*, V([\d.]+)/.exec(
    spawnSync(join(home, 'bin/nvcc'), ['--version'], { encoding: 'utf8' }).stdout ?? '',
  )?.[1];

/** Folders of toolkits that the machine may have, the first choice first. */
function homes() {
  const onPath = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'nvcc'));
  const compilers = [process.env.CUDACXX, ...onPath].filter((path) => path && existsSync(path));
  const found = compilers.map((path) => dirname(dirname(realpathSync(path))));
  return [process.env.CUDA_HOME, ...found, '/usr/local/cuda'].filter(Boolean);
}

function pip(...args) {
  requireTool('python3', ['python3'], 'fetches the CUDA compiler by pip');
  return run('python3', ['-m', 'pip', ...args]) === 0;
}

/** Makes the folder `to` as a whole or not at all; fill(folder) says whether it succeeded, `message` that it did not. */
function make(to, fill, message) {
  mkdirSync(dirname(to), { recursive: true });
  const folder = mkdtempSync(`${to}-`);
  let filled = false;
  try {
    filled = fill(folder);
    if (filled) {
      rmSync(to, { recursive: true, force: true });
      renameSync(folder, to);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  if (!filled) fail(`ERR_TOOL_MISSING ${message}`);
}

function fetchWheels() {
  console.error(`fetching nvcc ${PINNED} (109 MB) into ${prefix}`);
  const fill = (folder) => {
    if (!pip('install', '-q', '--no-deps', '--only-binary=:all:', '--no-compile', '--target', folder, ...WHEELS))
      return false;
    const home = join(folder, HOME);
    symlinkSync('lib', join(home, 'lib64')); // else neither nvcc's link step nor CMake finds cudart
    symlinkSync('libcudart.so.13', join(home, 'lib/libcudart.so')); // else CMake's FindCUDAToolkit fails
    return isWhole(home);
  };
  make(prefix, fill, 'pip did not fetch nvcc; install CUDA 12.4 or later and set CUDACXX to its nvcc');
}

const hasCublas = (folder) => ['cublas_v2.h', 'cublasLt.h'].every((name) => existsSync(join(folder, name)));

/** The major version of cuBLAS whose headers are in a folder. */
export const cublasVersion = (folder) =>
  /define CUBLAS_VER_MAJOR (\d+)/.exec(readFileSync(join(folder, 'cublas_api.h'), 'utf8'))?.[1] ?? 'of no version';

const cublasFolder = (version) => join(root, `.cache/cublas-${version}`, CUBLAS[version][1]);

/** The folder of the headers of cuBLAS and cuBLASLt of a major version, out of their wheel. */
function fetchedCublas(version) {
  const [wheel, include] = CUBLAS[version];
  const extract =
    'import glob, sys, zipfile\n' +
    'with zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0]) as wheel:\n' +
    '    wheel.extractall(sys.argv[1], [n for n in wheel.namelist() if n.startswith(sys.argv[2] + "/")])\n';
  const fill = (folder) => {
    console.error(`fetching the headers of ${wheel} (about 420 MB)`);
    if (!pip('download', '-q', '--no-deps', '--only-binary=:all:', '-d', folder, wheel)) return false;
    if (run('python3', ['-c', extract, folder, include]) !== 0) return false;
    for (const name of readdirSync(folder)) if (name.endsWith('.whl')) rmSync(join(folder, name));
    return hasCublas(join(folder, include));
  };
  const message = `no headers of cuBLAS came out of ${wheel}; unpack it by hand and set CUBLAS_INCLUDE`;
  if (!hasCublas(cublasFolder(version))) make(join(root, `.cache/cublas-${version}`), fill, message);
  return cublasFolder(version);
}

/**
 * Paths of the toolkit of the pinned version, fetched where the machine has none: {home, version, nvcc, cuobjdump, include,
 * lib, cublas, otherCublas}. `cublas` is the folder of its headers or null; they are fetched when they are asked for, and
 * `otherCublas` are then the folders of those of the other major versions that may be found at run time.
 */
export function cudaToolkit({ cublas = false } = {}) {
  let home = homes().find((home) => isWhole(home) && versionOf(home) === PINNED);
  if (home === undefined) {
    home = wheels;
    if (!isWhole(wheels)) fetchWheels();
  }
  const headers = [join(home, 'include'), cublasFolder('13'), process.env.CUBLAS_INCLUDE].filter(Boolean);
  const ofCublas = headers.find(hasCublas) ?? (cublas ? fetchedCublas('13') : null);
  return {
    home,
    version: versionOf(home),
    nvcc: join(home, 'bin/nvcc'),
    cuobjdump: join(home, 'bin/cuobjdump'), // which needs nvdisasm in PATH
    include: join(home, 'include'),
    lib: existsSync(join(home, 'lib64')) ? join(home, 'lib64') : join(home, 'lib'),
    cublas: ofCublas,
    otherCublas: cublas ? ['11', '12'].map(fetchedCublas) : [],
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(cudaToolkit({ cublas: process.argv.includes('--cublas') }), null, 2));
}
