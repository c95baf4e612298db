// Builds the addon into build/Release: with cmake-js, or with node-gyp when given --gyp. Downloads nothing.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);

/** The command's exit status, or null when it is not installed. */
function run(command, args, options = {}) {
  const { status, error, signal } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error?.code === 'ENOENT') return null;
  return signal ? 1 : status;
}

function requireTool(names, what, install) {
  const found = names.find((name) => run(name, ['--version'], { stdio: 'ignore' }) === 0);
  if (found) return found;
  console.error(
    `error: ERR_TOOL_MISSING ${names.join(' or ')} was not found; fles needs ${what} to build its native core.`,
  );
  console.error(
    `  Debian/Ubuntu: apt-get install ${install.debian}\n  macOS: ${install.macos}\n  Fedora: dnf install ${install.fedora}`,
  );
  process.exit(1);
}

const compiler = requireTool(
  [process.env.CXX, 'c++', 'g++', 'clang++'].filter(Boolean),
  'a C++20 compiler (g++ 11 or clang 14 at least)',
  { debian: 'g++', macos: 'xcode-select --install', fedora: 'gcc-c++' },
);

const standard = spawnSync(compiler, ['-std=c++20', '-fsyntax-only', '-x', 'c++', '-'], {
  input: '#include <atomic>\nstd::atomic<int> a; void f() { a.wait(0); }\n',
  encoding: 'utf8',
});
if (standard.status !== 0) {
  console.error(
    `error: ERR_TOOL_VERSION ${compiler} does not compile C++20; install g++ 11 or clang 14 at least, or set CXX.`,
  );
  process.exit(1);
}

/** The folder above include/node/node_api.h that belongs to this Node, for node-gyp. */
function nodeHeaders() {
  const prefix = resolve(process.execPath, '../..');
  const candidates = [process.env.npm_config_nodedir, prefix, '/usr', '/usr/local'].filter(Boolean);
  return candidates.find((folder) => existsSync(join(folder, 'include/node/node_api.h')));
}

let status;
if (process.argv.includes('--gyp')) {
  requireTool(['make'], 'make for node-gyp', { debian: 'make', macos: 'xcode-select --install', fedora: 'make' });
  const folder = nodeHeaders();
  const args = [require.resolve('node-gyp/bin/node-gyp.js'), 'rebuild', ...(folder ? [`--nodedir=${folder}`] : [])];
  status = run(process.execPath, args, { env: { ...process.env, JOBS: process.env.JOBS ?? 'max' } });
} else {
  requireTool(['cmake'], 'cmake 3.18 at least', { debian: 'cmake', macos: 'brew install cmake', fedora: 'cmake' });
  const cmakeJs = join(dirname(require.resolve('cmake-js/package.json')), 'bin/cmake-js');
  const options = ['--log-level', 'error', ...(process.env.FLES_CMAKE_OPTIONS ?? '').split(' ').filter(Boolean)];
  status = run(process.execPath, [cmakeJs, 'build', ...options]);
}
if (status !== 0) console.error('error: ERR_BUILD the native core did not compile; the messages above say why.');
process.exit(status ?? 1);
