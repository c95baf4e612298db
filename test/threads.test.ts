import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fles } from './cli/run-fles';

const dist = JSON.stringify(join(__dirname, '../dist'));
const model = JSON.stringify(join(__dirname, 'fixtures/models/bert-odd'));

/** What a program prints in a process of its own, whose threads do not run yet. */
function printed(program: string): string {
  const env = { ...process.env, FLES_NUM_THREADS: '2' };
  const text = `(async () => { const fles = require(${dist}); const { native } = require(${dist} + '/native.js'); ${program} })()`;
  const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', text], { encoding: 'utf8', env });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  return stdout.trim();
}

test('setThreads says how many threads compute, whatever the environment says', () => {
  expect(printed('console.log(native.platform().threads)')).toBe('2');
  expect(printed('fles.setThreads(3); console.log(native.platform().threads)')).toBe('3');
});

test.each(['abc', '0', '2x', '100000'])('FLES_NUM_THREADS=%s is refused', (threads) => {
  const env = { ...process.env, FLES_NUM_THREADS: threads };
  const text = `require(${dist} + '/native.js').native.platform()`;
  const { stderr, status } = spawnSync(process.execPath, ['-e', text], { encoding: 'utf8', env });
  expect(status).toBe(1);
  expect(stderr).toContain(`FLES_NUM_THREADS is "${threads}", expected a number in 1..1024`);
});

test('it does so before they run', () => {
  const opened = `await fles.FLES1Encoder.fromPretrained(${model});`;
  const code = 'try { fles.setThreads(3) } catch (error) { console.log(error.code) }';
  expect(printed(`${opened} fles.setThreads(2); ${code}`)).toBe('ERR_THREADS_RUNNING');
  for (const count of ['0', '1025', '"two"']) {
    expect(printed(`try { fles.setThreads(${count}) } catch (error) { console.log(error.code) }`)).toBe(
      'ERR_OPTION_RANGE',
    );
  }
});

test('the package loads whatever FLES_NUM_THREADS is, and setThreads takes its place', () => {
  const env = { ...process.env, FLES_NUM_THREADS: 'many' };
  const text = `const fles = require(${dist}); fles.setThreads(2);
    fles.FLES1Encoder.fromPretrained(${model}).then((encoder) => encoder.encode('a')).then(({ nnz }) => console.log(nnz > 0));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', text], { encoding: 'utf8', env });
  expect({ stdout, stderr }).toEqual({ stdout: 'true\n', stderr: '' });
});

test('--threads says so on the command line', async () => {
  const { stdout } = await fles(['info', '--threads', '5', '--json']);
  expect(JSON.parse(stdout).native.threads).toBe(5);
  const { code, stderr } = await fles(['info', '--threads', '0']);
  expect(code).toBe(2);
  expect(stderr).toContain('Expected an integer in 1..1024');
});

test('the package is imported without asking for threads, a CPU level or a device', () => {
  const env = { ...process.env, FLES_CPU: 'nonsense', FLES_NUM_THREADS: 'nonsense', FLES_CUDA_LIBRARY: '/nowhere' };
  const { stderr, status } = spawnSync(process.execPath, ['-e', `require(${dist})`], { encoding: 'utf8', env });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
});
