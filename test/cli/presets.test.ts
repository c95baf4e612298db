import { expect, test } from 'vitest';
import { makeConfig } from '../../lib/train/config';
import { fles } from './run-fles';

test('fles presets lists every recipe with a line about it', async () => {
  const { code, stdout } = await fles(['presets']);
  expect(code).toBe(0);
  for (const name of ['v7', 'v11c', 'v12a', 'v12b', 'v14', 'fles2-v32', 'splade', 'splade-doc', 'dense', 'mlm']) {
    expect(stdout).toMatch(new RegExp(`^${name} +\\S`, 'm'));
  }
});

test('fles presets v12b prints each field, its value and whether it is published', async () => {
  const { code, stdout } = await fles(['presets', 'v12b']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^\* {2}clfr\.interval +6250 +steps from one update/m);
  expect(stdout).toMatch(/^\* {2}loss\.flops\.documents +3e-5 /m);
  expect(stdout).toMatch(/^ {3}loss\.similarity +"dot" /m);
  // What each takes: choices, a range, a kind.
  expect(stdout).toMatch(/^\W+clfr\.law +\S+ +.* \(none \| .*\)$/m);
  expect(stdout).toMatch(/^\W+text\.queryLength +.* \(an integer in 2\.\.65536\)$/m);
  expect(stdout).toMatch(/^\W+output +.* \(a string.*\)$/m);
});

test('fles presets v12b --json prints a configuration', async () => {
  const { stdout } = await fles(['presets', 'v12b', '--json']);
  expect(JSON.parse(stdout)).toEqual(makeConfig('v12b'));
});

test('a recipe that does not exist is named, with those that do', async () => {
  const { code, stderr } = await fles(['presets', 'v99']);
  expect(code).toBe(2);
  expect(stderr).toMatch(/^error: ERR_PRESET_UNKNOWN there is no preset "v99", expected one of v7, /);
});
