// What the other scripts share: running programs, and naming those that are missing with the command that installs them.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');
export const require = createRequire(import.meta.url);

/** Prints `error: message` and ends the process. */
export function fail(message) {
  console.error(`error: ${message}`);
  process.exit(1);
}

/** Runs a program in the root of the package; its exit status, or null when it is not installed. */
export function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error?.code === 'ENOENT') return null;
  return status ?? 1; // no status: killed by a signal
}

/** Copies a file, as a whole or not at all, to a name under which a process may have another one loaded. */
export function place(from, to) {
  const part = `${to}.part`;
  mkdirSync(dirname(to), { recursive: true });
  try {
    copyFileSync(from, part);
    renameSync(part, to);
  } finally {
    rmSync(part, { force: true });
  }
}

/** The lines of cpp/sources.txt. */
export function sources() {
  return readFileSync(join(root, 'cpp/sources.txt'), 'utf8').split(/\r?\n/).filter(Boolean);
}

/** How each tool is installed where the command differs from `install NAME`. */
const PACKAGES = {
  compiler: { debian: 'g++', fedora: 'gcc-c++', alpine: 'g++', macos: 'xcode-select --install' },
  make: { macos: 'xcode-select --install' },
  clang: {
    debian: 'clang-19 libclang-rt-19-dev',
    fedora: 'clang compiler-rt',
    alpine: 'clang19 compiler-rt',
    macos: 'llvm',
  },
  python3: { macos: 'xcode-select --install' },
  'clang-format': {
    debian: 'clang-format-19',
    fedora: 'clang-tools-extra',
    alpine: 'clang19-extra-tools',
    macos: 'llvm',
  },
  'clang-tidy': { debian: 'clang-tidy-19', fedora: 'clang-tools-extra', alpine: 'clang19-extra-tools', macos: 'llvm' },
  'aarch64-g++': { debian: 'g++-aarch64-linux-gnu', fedora: 'gcc-c++-aarch64-linux-gnu' },
  'qemu-aarch64': { debian: 'qemu-user-static', fedora: 'qemu-user-static', macos: 'qemu' },
  gtest: { debian: 'libgtest-dev', fedora: 'gtest-devel', alpine: 'gtest-dev', macos: 'googletest' },
};

/** Ends the process with the commands that install a tool. */
export function missing(tool, message) {
  const { debian = tool, fedora = tool, alpine = tool, macos = tool } = PACKAGES[tool] ?? {};
  fail(`ERR_TOOL_MISSING ${message}; install it and run this again:
  Debian, Ubuntu  apt-get install ${debian}
  Fedora          dnf install ${fedora}
  Alpine          apk add ${alpine}
  macOS           ${macos.includes(' ') ? macos : `brew install ${macos}`}`);
}

/** The first of the programs that is installed (answers `--version`); ends the process when there is none. */
export function requireTool(tool, names, purpose) {
  const found = names.find((name) => run(name, ['--version'], { stdio: 'ignore' }) === 0);
  return found ?? missing(tool, `${names.join(' or ')} was not found, which ${purpose}`);
}

/** The arguments that make cmake-js, whose program is a script, do `command`. */
export function cmakeJs(command, ...options) {
  return [join(dirname(require.resolve('cmake-js/package.json')), 'bin/cmake-js'), command, ...options];
}

/** Makes sure that a C++20 compiler, cmake and a program that runs cmake's builds are there; the compiler's name. */
export function requireCompiler() {
  const names = [process.env.CXX, 'c++', 'g++', 'clang++'].filter(Boolean);
  const compiler = requireTool('compiler', names, 'compiles the native core (g++ 11 or clang 14 at least)');
  const program = '#include <atomic>\nstd::atomic<int> a;\nvoid f() { a.wait(0); }\n';
  const options = { input: program, stdio: ['pipe', 'ignore', 'ignore'] };
  if (run(compiler, ['-std=c++20', '-fsyntax-only', '-x', 'c++', '-'], options) !== 0) {
    fail(`ERR_TOOL_VERSION ${compiler} does not compile C++20; install g++ 11 or clang 14 at least, or set CXX`);
  }
  requireTool('cmake', ['cmake'], 'configures the build of the native core (3.18 at least)');
  requireTool('make', ['ninja', 'make'], "runs cmake's build");
  return compiler;
}

/**
 * What the native core is compiled with under sanitizers: -O2 would take six times as long to compile the kernels, and
 * shows nothing more.
 */
export const SANITIZED = [
  '-DCMAKE_BUILD_TYPE=Debug',
  '-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g -D_GLIBCXX_ASSERTIONS',
  '-DCMAKE_EXPORT_COMPILE_COMMANDS=ON',
];

/** Builds a target of a cmake project of the package into a folder of it. */
export function buildTarget(project, folder, target, options, env = process.env) {
  const configure = ['-S', join(root, project), '-B', folder, '--log-level=WARNING', ...options];
  if (run('cmake', configure, { env }) !== 0) process.exit(1);
  const build = ['--build', folder, '--target', target, '--parallel', String(availableParallelism())];
  if (run('cmake', build) !== 0) fail(`ERR_BUILD ${target} did not compile; the messages above say why`);
}

/** Builds the native tests into a folder of the package; further options are cmake's. The program. */
export function buildNativeTests(folder, ...options) {
  buildTarget('.', folder, 'fles_tests', ['-DFLES_NATIVE_TESTS=ON', ...options]);
  return `${folder}/fles_tests`;
}
