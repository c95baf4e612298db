// Builds the addon into build/Release: with cmake-js, or with node-gyp when given --gyp. Downloads nothing: both compile
// against the headers of the package node-api-headers, which are all that a Node-API addon needs.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cmakeJs, fail, require, requireCompiler, requireTool, root, run } from './tools.mjs';

const build = join(root, 'build');

function withCmake() {
  requireCompiler();
  // A folder that was configured elsewhere and copied here cannot be built in, and says so in riddles.
  const cache = join(build, 'CMakeCache.txt');
  const home = existsSync(cache) && /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(readFileSync(cache, 'utf8'))?.[1];
  if (home && home !== root) rmSync(build, { recursive: true });
  return run(process.execPath, cmakeJs('build', '--log-level', 'error'));
}

/** The least that node-gyp accepts as a Node installation: headers, and settings that every target starts from. */
function writeNodeFolder(folder) {
  const headers = join(folder, 'include/node');
  mkdirSync(headers, { recursive: true });
  cpSync(require('node-api-headers').include_dir, headers, { recursive: true });
  const threads = process.platform === 'linux' ? { cflags: ['-pthread'], ldflags: ['-pthread'] } : {};
  const defaults = { default_configuration: 'Release', configurations: { Release: {}, Debug: {} }, ...threads };
  writeFileSync(join(headers, 'common.gypi'), JSON.stringify({ target_defaults: defaults }));
}

function withNodeGyp() {
  requireCompiler();
  requireTool('make', ['make'], "runs node-gyp's build");
  requireTool('python3', [process.env.PYTHON, 'python3', 'python'].filter(Boolean), 'node-gyp is written in');
  rmSync(build, { recursive: true, force: true });
  writeNodeFolder(join(build, 'node'));
  const options = [`--nodedir=${join(build, 'node')}`, '--force-process-config', '--loglevel=error'];
  const nodeGyp = [require.resolve('node-gyp/bin/node-gyp.js'), 'configure', 'build', ...options];
  return run(process.execPath, nodeGyp, { env: { ...process.env, JOBS: process.env.JOBS ?? 'max' } });
}

const status = process.argv.includes('--gyp') ? withNodeGyp() : withCmake();
if (status !== 0) fail('ERR_BUILD the native core did not compile; the messages above say why');
