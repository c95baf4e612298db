// Builds the library of the CUDA backend: with nvcc for real devices, and puts it beside the addon that is in use, where it
// is found; with --fetch by an nvcc that is fetched from PyPI where none is installed; with --emulated for the CPU, which
// needs no CUDA, into build-cuda-emulated, for the tests.
import { copyFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { cudaToolkit } from './cuda-toolkit.mjs';
import { fail, requireCompiler, root, run } from './tools.mjs';

const emulated = process.argv.includes('--emulated');
const folder = emulated ? 'build-cuda-emulated' : 'build-cuda';

function compiler() {
  const names = [process.env.CUDACXX, 'nvcc', '/usr/local/cuda/bin/nvcc'].filter(Boolean);
  const installed = names.find((name) => run(name, ['--version'], { stdio: 'ignore' }) === 0);
  if (installed !== undefined) return installed;
  if (process.argv.includes('--fetch')) return cudaToolkit().nvcc;
  fail(
    `ERR_TOOL_MISSING ${names.join(' or ')} was not found, which compiles the kernels; install CUDA 12.4 or later and set ` +
      'CUDACXX to its nvcc, or run "npm run build:cuda -- --fetch", which fetches that of CUDA 13.0 from PyPI (109 MB)',
  );
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
  copyFileSync(join(root, folder, 'fles-cuda.so'), join(beside, 'fles-cuda.so'));
}
