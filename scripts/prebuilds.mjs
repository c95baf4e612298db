// Puts what was built where node-gyp-build looks for an addon that came with the package: prebuilds/<platform>-<arch>, or
// the same below the folder given as an argument. To be run on each platform that the package is published for. Where
// there is CUDA, on Linux with glibc, the library of its backend goes beside the addon: it is built by
// "npm run build:cuda -- --fetch", unless --cuda names another.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { fail, place, require, root, run } from './tools.mjs';

const { values, positionals } = parseArgs({ options: { cuda: { type: 'string' } }, allowPositionals: true });
// The C library is part of the name, by the same rule as node-gyp-build reads it, so that a Linux with another one
// compiles instead of loading what does not fit.
const libc = process.platform === 'linux' ? (existsSync('/etc/alpine-release') ? '.musl' : '.glibc') : '';
const folder = join(resolve(positionals[0] ?? join(root, 'prebuilds')), `${process.platform}-${process.arch}`);

const addon = join(root, 'build/Release/fles.node');
const files = { [`fles${libc}.node`]: addon };
if (!existsSync(addon)) fail(`ERR_FILE_NOT_FOUND ${addon} does not exist; run "npm run build" first`);
if (values.cuda !== undefined && libc !== '.glibc')
  fail('ERR_USAGE --cuda is given, expected on Linux with glibc alone');

if (libc === '.glibc') {
  const build = () => run(process.execPath, [join(root, 'scripts/build-cuda.mjs'), '--fetch']);
  if (values.cuda === undefined && build() !== 0) fail('ERR_BUILD the CUDA backend was not built; see above');
  const library = resolve(values.cuda ?? join(root, 'build-cuda/fles-cuda.so'));
  process.env.FLES_CUDA_LIBRARY = library;
  const cuda = require(addon)
    .platform()
    .backends.find(({ name }) => name === 'cuda');
  if (!cuda.installed) fail(`ERR_BUILD ${library} is no CUDA backend of this addon: ${cuda.reason}`);
  console.log(`the backend cuda of this machine: ${cuda.available ? cuda.description : cuda.reason}`);
  files['fles-cuda.so'] = library;
}
for (const [name, from] of Object.entries(files)) {
  place(from, join(folder, name));
  console.log(join(folder, name));
}
