import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What a script prints, as JSON, in a process of its own: the emulated device reads its variables once. `native` is there.
 */
export function inProcess<T>(variables: Record<string, string>, script: string): T {
  const before = "const native = require('node-gyp-build')(process.cwd());";
  const output = execFileSync(process.execPath, ['-e', `${before}\n${script}`], {
    encoding: 'utf8',
    env: { ...process.env, ...variables },
    cwd: join(__dirname, '../..'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(output) as T;
}

/** Source of `normed(device)`: what layernorm gives there, or the code and message of its error. */
export const NORMED = `
const values = (length, scale) => Float32Array.from({ length }, (_, i) => Math.sin(i * scale));
function normed(device) {
  const args = { T: 5, C: 7, eps: 1e-5, in: values(35, 1), gamma: values(7, 2), beta: values(7, 3), out: new Float32Array(35) };
  try {
    native.runOp(device, 'layernorm', args);
    return Array.from(args.out);
  } catch ({ code, message }) {
    return { code, message };
  }
}`;

/** Compiles C++ that may include headers of cpp/ and cuda/ into a shared library. */
export function compileShared(path: string, source: string, ...flags: string[]): void {
  const root = join(__dirname, '../..');
  writeFileSync(`${path}.cpp`, source);
  const include = ['-I', join(root, 'cpp'), '-I', join(root, 'cuda')];
  const all = ['-std=c++20', '-shared', '-fPIC', '-w', ...include, `${path}.cpp`, '-o', path, ...flags];
  execFileSync(process.env.CXX || 'g++', all, { stdio: 'inherit' });
}
