// What can be known of the CUDA backend without a GPU: cmake takes the project with this nvcc, every kernel is compiled for
// sm_80 and sm_90, the host's part against the real headers, the library is linked, and each kernel is compared with its
// budget in cuda/budgets.json: registers, memory, occupancy, and the instructions that matter.
//
//   npm run check:cuda                   fails when a kernel is not as budgeted, or has no budget
//   npm run check:cuda -- --table        prints what each kernel uses
//   npm run check:cuda -- --update       writes the budgets anew
//   npm run check:cuda -- --cublas       also against the headers of cuBLAS and cuBLASLt 11, 12 and 13, which it may fetch (1.3 GB)
import { existsSync, readdirSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { BUDGETS, makeBudgets, problems, readBudgets, writeBudgets } from './cuda/budgets.mjs';
import {
  ARCHITECTURES,
  compileHost,
  compileKernels,
  configure,
  link,
  sourceOf,
  withoutComments,
} from './cuda/kernels.mjs';
import { launchOf } from './cuda/launches.mjs';
import { cublasVersion, cudaToolkit, PINNED } from './cuda-toolkit.mjs';
import { forEach } from './testing.mjs';
import { fail, requireTool, root } from './tools.mjs';

const update = process.argv.includes('--update');
const budgets = existsSync(BUDGETS) ? readBudgets() : { compiler: PINNED, kernels: {} };

/** The launch of a kernel from its source; what cannot be read there is as its budget says. */
function launch(name, kernel, source) {
  const { block, dynamicShared } = launchOf(kernel, source);
  const stated = budgets.kernels[name];
  return { block: block ?? stated?.block, dynamicShared: dynamicShared ?? stated?.dynamicShared };
}

async function build(toolkit) {
  const kernelFiles = readdirSync(join(root, 'cuda')).filter((name) => name.endsWith('.cu'));
  const hostFiles = ['device', 'backend_cuda', 'fused_products', 'cublas_library'].map((name) => `cuda/${name}.cpp`);
  // First what takes seconds: a wrong declaration of cuBLAS need not wait for the kernels.
  await configure(toolkit);
  const files = [...hostFiles, 'cpp/core/error.cpp', ...kernelFiles.map((name) => `cuda/${name}`)];
  for (const cublas of toolkit.otherCublas) await compileHost(toolkit, join(root, 'cuda/cublas_library.cpp'), cublas);
  const found = {};
  const objects = await forEach(files, async (file) => {
    const path = join(root, file);
    if (file.endsWith('.cpp')) return (await compileHost(toolkit, path)).object;
    const { object, kernels } = await compileKernels(toolkit, path);
    for (const kernel of Object.keys(kernels[ARCHITECTURES[0]] ?? {})) {
      const name = `${basename(file, '.cu')}/${kernel}`;
      const facts = ARCHITECTURES.map((architecture) => [architecture, kernels[architecture][kernel]]);
      found[name] = { launch: launch(name, kernel, withoutComments(sourceOf(path))), ...Object.fromEntries(facts) };
    }
    return object;
  });
  await link(toolkit, objects);
  return found;
}

function table({ kernels }) {
  const rows = Object.entries(kernels).flatMap(([name, { block, ...own }]) =>
    ARCHITECTURES.map((architecture) => {
      const { registers, shared, occupancy, ...counts } = own[architecture];
      const instructions = Object.entries(counts).map(([key, count]) => `${key} ${count}`);
      const numbers = [block, registers, shared, `${Math.round(100 * occupancy)}%`];
      return `${name.padEnd(52)} ${architecture} ${numbers.map((n) => String(n).padStart(7)).join('')}  ${instructions.join(' ')}`;
    }),
  );
  console.log(`${'kernel'.padEnd(52)} arch     block   regs shared  warps  instructions\n${rows.join('\n')}`);
}

requireTool('compiler', ['g++'], "compiles the host's part of the CUDA backend");
requireTool('cmake', ['cmake'], 'configures the build of the CUDA backend');
const start = performance.now();
try {
  const toolkit = cudaToolkit({ cublas: process.argv.includes('--cublas') });
  const found = await build(toolkit);
  const unknown = Object.entries(found).filter(([, { launch }]) => Object.values(launch).includes(undefined));
  if (unknown.length > 0) {
    fail(
      `ERR_BUDGET the launch of ${unknown.map(([name]) => name).join(', ')} cannot be read; write block and dynamicShared ` +
        `of each into ${relative(root, BUDGETS)}`,
    );
  }
  if (update) writeBudgets(makeBudgets(toolkit.version, found));
  const wrong = problems(found, readBudgets());
  if (process.argv.includes('--table')) table(makeBudgets(toolkit.version, found));
  for (const one of wrong) console.error(`check:cuda: ${one}`);
  if (wrong.length > 0) {
    fail(
      `ERR_BUDGET ${wrong.length} things are not as cuda/budgets.json says; "npm run check:cuda -- --update" writes it anew, ` +
        'but spills, stack and atomic sums of floats are never in order',
    );
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const versions = [...toolkit.otherCublas, toolkit.cublas].filter(Boolean).map(cublasVersion);
  const cublas =
    `${versions.length === 0 ? 'without' : 'with'} the headers of cuBLAS and cuBLASLt ${versions.join(', ')}`.trim();
  console.log(
    `check:cuda: ${Object.keys(found).length} kernels within their budgets on ${ARCHITECTURES.join(' and ')}, nvcc ` +
      `${toolkit.version}, ${cublas} (${seconds} s)`,
  );
} catch (error) {
  fail(error.message);
}
