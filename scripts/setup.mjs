// Brings a clone to a state where it runs: installs the locked dependencies and builds whatever is missing or older than
// its sources. Run by `npm test` and `npm run demo`; does nothing when everything is there.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

function npm(...args) {
  // Inside an npm script npm_execpath names the npm that runs it; npm itself is a JavaScript file.
  const [command, prefix] = process.env.npm_execpath ? [process.execPath, [process.env.npm_execpath]] : ['npm', []];
  console.error(`setup: npm ${args.join(' ')}`);
  const { status } = spawnSync(command, [...prefix, ...args], {
    cwd: root,
    stdio: ['ignore', process.stderr, 'inherit'],
  });
  if (status !== 0) process.exit(status ?? 1);
}

/** Time of the newest file under the paths, in milliseconds. */
function newest(...paths) {
  let latest = 0;
  for (const path of paths) {
    const status = statSync(path);
    const time = status.isDirectory() ? newest(...readdirSync(path).map((name) => join(path, name))) : status.mtimeMs;
    latest = Math.max(latest, time);
  }
  return latest;
}

const at = (...parts) => join(root, ...parts);
const isStale = (output, ...inputs) =>
  !existsSync(output) || statSync(output).mtimeMs < newest(...inputs.map((p) => at(p)));

/** Whether every package of the lock file is there in its version; those for other platforms are optional. */
function isInstalled() {
  const read = (name) => JSON.parse(readFileSync(at(name), 'utf8')).packages;
  if (!existsSync(at('node_modules/.package-lock.json'))) return false;
  const installed = read('node_modules/.package-lock.json');
  return Object.entries(read('package-lock.json')).every(
    ([path, wanted]) => path === '' || wanted.optional || installed[path]?.version === wanted.version,
  );
}

if (!isInstalled()) npm('ci', '--ignore-scripts');
if (isStale(at('build/Release/fles.node'), 'cpp', 'CMakeLists.txt')) npm('run', '-s', 'build:native');
// The kernels of the CUDA backend for the CPU, for its tests. The emulator switches stacks as Linux does.
if (
  process.platform === 'linux' &&
  isStale(at('build-cuda-emulated/fles-cuda-emulated.so'), 'cuda', 'cpp/core', 'cpp/ops', 'cpp/backend')
) {
  npm('run', '-s', 'build:cuda', '--', '--emulated');
}
// The last file that build:lib writes.
if (isStale(at('dist/index.d.mts'), 'lib', 'tsconfig.json')) npm('run', '-s', 'build:lib');
