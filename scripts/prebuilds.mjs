// Puts what was built where node-gyp-build looks for an addon that came with the package: prebuilds/<platform>-<arch>, or
// the same below the folder given as an argument. To be run on each platform that the package is published for. Where
// there is CUDA, on Linux with glibc, the library of its backend goes beside the addon: that of "npm run build:cuda", or
// the one that --cuda names.
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { fail, require, root } from './tools.mjs';

const { values, positionals } = parseArgs({ options: { cuda: { type: 'string' } }, allowPositionals: true });
// The C library is part of the name, by the same rule as node-gyp-build reads it, so that a Linux with another one
// compiles instead of loading what does not fit.
const libc = process.platform === 'linux' ? (existsSync('/etc/alpine-release') ? '.musl' : '.glibc') : '';
const folder = join(resolve(positionals[0] ?? join(root, 'prebuilds')), `${process.platform}-${process.arch}`);
mkdirSync(folder, { recursive: true });

function copy(from, name, command) {
  if (!existsSync(from)) fail(`ERR_FILE_NOT_FOUND ${from} does not exist; run "${command}" first`);
  const to = join(folder, name);
  copyFileSync(from, to);
  console.log(to);
  return to;
}

const addon = copy(join(root, 'build/Release/fles.node'), `fles${libc}.node`, 'npm run build');
if (libc === '.glibc') {
  const built = resolve(values.cuda ?? join(root, 'build-cuda/fles-cuda.so'));
  const library = copy(built, 'fles-cuda.so', 'npm run build:cuda -- --fetch');
  process.env.FLES_CUDA_LIBRARY = library;
}
const cuda = require(addon)
  .platform()
  .backends.find(({ name }) => name === 'cuda');
console.log(`the backend cuda of this machine: ${cuda.available ? cuda.description : cuda.reason}`);
if (/built from another version|does not load|is not a CUDA backend/.test(cuda.reason)) {
  fail(`ERR_BUILD ${process.env.FLES_CUDA_LIBRARY} does not fit the addon; run "npm run build:cuda -- --fetch" again`);
}
