// Puts the built addon where node-gyp-build looks for one that came with the package: prebuilds/<platform>-<arch>, or the
// same below the folder given as an argument. To be run on each platform that the package is published for.
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fail, require, root } from './tools.mjs';

const built = join(root, 'build/Release/fles.node');
if (!existsSync(built)) fail(`ERR_FILE_NOT_FOUND ${built} does not exist; run "npm run build" first`);

// The C library is part of the name, by the same rule as node-gyp-build reads it, so that a Linux with another one
// compiles instead of loading what does not fit.
const libc = process.platform === 'linux' ? (existsSync('/etc/alpine-release') ? '.musl' : '.glibc') : '';
const folder = join(resolve(process.argv[2] ?? join(root, 'prebuilds')), `${process.platform}-${process.arch}`);
mkdirSync(folder, { recursive: true });
const prebuilt = join(folder, `fles${libc}.node`);
copyFileSync(built, prebuilt);
require(prebuilt);
console.log(prebuilt);
