// What the scripts that test share, beyond tools.mjs, which is shipped with the package: running many programs, each
// until a limit, and the builds of emulated kernels.
import { spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { requireTool, root, run } from './tools.mjs';

const running = new Set();
/** Kills a program with all that it has started. */
function kill(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {} // it has ended
}
process.on('SIGINT', () => {
  for (const pid of running) kill(pid);
  process.exit(130);
});

/**
 * Runs a program to its end, or for `limit` milliseconds, with further variables of the environment: its exit status
 * (null: killed), whether it was too late, what it printed in all and to stdout, and its milliseconds.
 */
export function finished(command, args, { cwd = root, variables = {}, limit = 600_000 } = {}) {
  const started = performance.now();
  const env = { ...process.env, ...variables };
  const child = spawn(command, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child.pid);
  const result = { late: false, text: '', stdout: '' };
  const timer = setTimeout(() => {
    result.late = true;
    kill(child.pid);
  }, limit);
  const keep = (name, data) => {
    if (result[name].length < 1 << 24) result[name] += data;
  };
  child.stdout.on('data', (data) => keep('stdout', data));
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => keep('text', data));
  return new Promise((done) => {
    child.on('error', (error) => keep('text', error.message));
    child.on('close', (status) => {
      clearTimeout(timer);
      running.delete(child.pid);
      done({ ...result, status, ms: performance.now() - started });
    });
  });
}

/** Calls `work` on every item, as many at a time as there are processors; what each call came to, in order. */
export async function forEach(items, work) {
  const results = [];
  const waiting = [...items].entries();
  const worker = async () => {
    for (const [i, item] of waiting) results[i] = await work(item);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return results;
}

/** When a file of the package was written, in milliseconds; 0 when it is not there. */
export const modified = (path) => statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** What compiles for ThreadSanitizer: the emulator's fibers need clang's. Undefined when there is none. */
export function threadCompiler() {
  const args = ['-fsanitize=thread', '-x', 'c++', '-', '-o', '/dev/null'];
  const options = { input: 'int main() {}\n', stdio: ['pipe', 'ignore', 'ignore'] };
  return ['clang++-19', 'clang++'].find((name) => run(name, args, options) === 0);
}

/**
 * The builds of emulated kernels that this machine can make, plain and for sanitizers: compiler, flags of the kernels and
 * those of the emulator's engine.
 */
export function emulatedBuilds() {
  const compiler = requireTool('compiler', [process.env.CXX, 'g++'].filter(Boolean), 'compiles the emulator of CUDA');
  const address = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer'];
  const builds = [
    { name: 'plain', compiler, kernels: [], engine: [] },
    { name: 'address', compiler, kernels: address, engine: address },
  ];
  const clang = threadCompiler();
  if (clang !== undefined) {
    // The engine runs on all fibers; instrumented, it would race with itself.
    const engine = ['-DFLES_EMULATE_TSAN=1'];
    builds.push({ name: 'thread', compiler: clang, kernels: ['-fsanitize=thread'], engine });
  } else {
    console.log('no race detection: no clang++ links with ThreadSanitizer (clang-19, libclang-rt-19-dev)');
  }
  return builds;
}
