// Builds the library of the CUDA backend: with nvcc for real devices, and puts it beside the addon that is in use, where it
// is found; with --fetch by nvcc of the pinned version, which is fetched from PyPI where it is not installed; with --emulated
// for the CPU, which needs no CUDA, into build-cuda-emulated, for the tests.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { cudaToolkit } from './cuda-toolkit.mjs';
import { fail, place, requireCompiler, root, run } from './tools.mjs';

const emulated = process.argv.includes('--emulated');
const folder = emulated ? 'build-cuda-emulated' : 'build-cuda';

/** Ends the process where nvcc is missing, or older than what the kernels need. */
function compiler() {
  if (process.argv.includes('--fetch')) return cudaToolkit().nvcc;
  const advice =
    'install CUDA 12.4 or later and set CUDACXX to its nvcc, or run "npm run build:cuda -- --fetch", which fetches that ' +
    'of CUDA 13.0 from PyPI (109 MB)';
  const names = [process.env.CUDACXX, 'nvcc', '/usr/local/cuda/bin/nvcc'].filter(Boolean);
  for (const name of names) {
    const { status, stdout } = spawnSync(name, ['--version'], { encoding: 'utf8' });
    if (status !== 0) continue;
    const [, major, minor] = /release (\d+)\.(\d+)/.exec(stdout) ?? [];
    if (major > 12 || (major === '12' && minor >= 4)) return name;
    fail(`ERR_TOOL_VERSION ${name} is of CUDA ${major}.${minor}, expected 12.4 or later; ${advice}`);
  }
  fail(`ERR_TOOL_MISSING ${names.join(' or ')} was not found, which compiles the kernels; ${advice}`);
}

function configure() {
  const options = emulated ? ['-DFLES_CUDA_EMULATED=ON'] : [`-DCMAKE_CUDA_COMPILER=${compiler()}`];
  return run('cmake', ['-S', 'cuda', '-B', folder, '-DCMAKE_BUILD_TYPE=Release', ...options]);
}

requireCompiler();
if (configure() !== 0) {
  fail('ERR_BUILD the build of the CUDA backend was not configured; the messages above say why');
}
const jobs = String(Math.max(1, availableParallelism()));
if (run('cmake', ['--build', folder, '--parallel', jobs]) !== 0) {
  fail('ERR_BUILD the CUDA backend did not compile; the messages above say why');
}
if (!emulated) {
  // A prebuilt one, or build/Release.
  const beside = dirname(createRequire(import.meta.url)('node-gyp-build').resolve(root));
  place(join(root, folder, 'fles-cuda.so'), join(beside, 'fles-cuda.so'));
}
