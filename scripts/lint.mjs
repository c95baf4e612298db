// Checks what `npm run lint` promises, every part even when an earlier one failed: Biome (format and rules), the types of
// lib and test, clang-format, clang-tidy. With --fix it writes what Biome and clang-format would change, and no more; with
// --quick clang-tidy leaves out cuda, which takes it minutes.
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { cmakeJs, missing, require, requireTool, root, run, sources } from './tools.mjs';

const CLANG = 19; // the version whose format this is; older ones lack options and checks

/** `name-19`, or `name` where that is version 19 or later. */
function clangTool(name, purpose) {
  for (const program of [`${name}-${CLANG}`, name]) {
    const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
    if (Number(/version (\d+)/.exec(stdout ?? '')?.[1]) >= CLANG) return program;
  }
  return missing(name, `${name} ${CLANG} was not found, which ${purpose}`);
}

function filesUnder(folder, pattern) {
  return readdirSync(join(root, folder), { recursive: true })
    .filter((name) => pattern.test(name))
    .map((name) => join(folder, name))
    .sort();
}

const failures = [];
function step(name, work) {
  const start = performance.now();
  const ok = work();
  const report = (passed) => {
    console.error(`lint: ${name}: ${passed ? 'ok' : 'FAILED'} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
    if (!passed) failures.push(name);
  };
  return ok instanceof Promise ? ok.then(report) : report(ok);
}
const node = (...args) => run(process.execPath, args) === 0;

const configuring = { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] };

/** Has cmake write down in a folder how each source of the addon is compiled. */
function configure(folder) {
  const configured = cmakeJs('configure', '--log-level', 'error', '--out', folder);
  execFileSync(process.execPath, [...configured, '--CDCMAKE_EXPORT_COMPILE_COMMANDS=ON'], configuring);
}

/** The same of the CUDA backend as its emulator compiles it, which needs no nvcc. */
function configureCuda(folder) {
  const options = ['-DFLES_CUDA_EMULATED=ON', '-DFLES_CUDA_CHECK=ON', '-DCMAKE_EXPORT_COMPILE_COMMANDS=ON'];
  execFileSync('cmake', ['-S', 'cuda', '-B', folder, '--log-level=ERROR', ...options], configuring);
}

/** Runs clang-tidy on files that are compiled as `folder` has it, as many at a time as there are processors. */
async function tidy(folder, files, ...flags) {
  const program = clangTool('clang-tidy', 'looks for mistakes in the C++ sources');
  const waiting = [...files];
  let clean = true;
  const worker = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const { failed, output } = await new Promise((done) => {
        execFile(program, ['--quiet', '-p', folder, ...flags, file], { cwd: root }, (error, stdout) =>
          done({ failed: error !== null, output: stdout }),
        );
      });
      if (failed) console.error(`${file}: ${program} is not content\n${output}`);
      clean &&= !failed;
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return clean;
}

const fix = process.argv.includes('--fix');
const biome = require.resolve('@biomejs/biome/bin/biome');
const compiler = require.resolve('typescript/bin/tsc');
const clangFormat = clangTool('clang-format', 'formats the C++ sources');
const formatted = ['cpp', 'cuda', 'test/native', 'test/cuda'].flatMap((folder) =>
  filesUnder(folder, /\.(cpp|h|inl|cu|cuh)$/),
);

if (fix) {
  step('biome', () => node(biome, 'check', '--write'));
  step('clang-format', () => run(clangFormat, ['-i', ...formatted]) === 0);
} else {
  step('biome', () => node(biome, 'check', '--error-on-warnings'));
  step('types of lib', () => node(compiler, '--noEmit', '-p', '.'));
  step('types of test', () => node(compiler, '--noEmit', '-p', 'test'));
  step(
    `clang-format, ${formatted.length} files`,
    () => run(clangFormat, ['--dry-run', '--Werror', ...formatted]) === 0,
  );
  requireTool('cmake', ['cmake'], 'tells clang-tidy how each file is compiled');
  const compiled = sources();
  await step(`clang-tidy, ${compiled.length} files`, () => {
    configure('build-lint');
    return tidy('build-lint', compiled);
  });
  if (!process.argv.includes('--quick')) {
    const kernels = filesUnder('cuda', /\.(cpp|cu)$/);
    await step(`clang-tidy of cuda, ${kernels.length} files`, () => {
      configureCuda('build-lint-cuda');
      // Said again for cublas_library.cpp, which the emulator does without.
      return tidy('build-lint-cuda', kernels, '--extra-arg=-DFLES_CUDA_EMULATED=1');
    });
  }
}
if (failures.length > 0) {
  console.error(
    `lint: failed: ${failures.join('; ')}${fix ? '' : '; "npm run format" mends what is a matter of format'}`,
  );
  process.exit(1);
}
