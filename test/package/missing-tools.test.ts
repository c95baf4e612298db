import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { root, temporaryFolder } from './consumer';

const temporary = temporaryFolder();
afterAll(() => temporary.remove());

/** Where a program is, as the shell finds it. */
function locate(program: string): string | undefined {
  const result = spawnSync('/bin/sh', ['-c', `command -v ${program}`], { encoding: 'utf8' });
  return result.stdout.trim() || undefined;
}

/** What a script prints to stderr where only these programs are installed; it must fail. */
function failWith(programs: string[], script: string, ...args: string[]): string {
  const folder = join(temporary.path, programs.join('-'));
  mkdirSync(folder, { recursive: true });
  for (const program of programs) {
    const path = locate(program);
    if (path !== undefined) symlinkSync(path, join(folder, program));
  }
  const env = { ...process.env, PATH: folder, CXX: '', PYTHON: '' };
  const options = { cwd: root, env, encoding: 'utf8' } as const;
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts', script), ...args], options);
  expect(status).toBe(1);
  return stderr;
}

const compiler = ['c++', 'as', 'ld'];

test.each([
  ['a compiler', ['cmake', 'make'], [], 'c++', 'apt-get install g++'],
  ['cmake', [...compiler, 'make'], [], 'cmake', 'apt-get install cmake'],
  ['make and ninja', [...compiler, 'cmake'], [], 'ninja or make', 'apt-get install make'],
  ['make, with node-gyp', [...compiler, 'cmake', 'ninja', 'python3'], ['--gyp'], 'make', 'apt-get install make'],
  ['python, with node-gyp', [...compiler, 'cmake', 'make'], ['--gyp'], 'python3', 'apt-get install python3'],
])('a build without %s names it and the command that installs it', (_, programs, args, name, command) => {
  const stderr = failWith(programs, 'build-native.mjs', ...args);
  expect(stderr).toMatch(/^error: ERR_TOOL_MISSING /);
  expect(stderr.split(' was not found')[0]).toContain(name);
  expect(stderr).toContain(command);
});

test('linting without clang-format names it', () => {
  const stderr = failWith(compiler, 'lint.mjs');
  expect(stderr).toMatch(/^error: ERR_TOOL_MISSING clang-format 19 was not found/);
  expect(stderr).toContain('apt-get install clang-format-19');
});
