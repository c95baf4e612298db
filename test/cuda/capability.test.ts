import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';

/** What happens on an emulated device of a compute capability, in a process of its own: it is read once. */
function on(capability: number, script: string): Record<string, unknown> {
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], {
    encoding: 'utf8',
    env: { ...process.env, FLES_EMULATE_CAPABILITY: String(capability) },
    cwd: `${__dirname}/../..`,
  });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Record<string, unknown>;
}

const ATTENTION = (width: number) => `
const native = require('node-gyp-build')(process.cwd());
const args = { B: 1, T: 2, C: ${width}, H: 1, seed: 0, dropout: 0, qkv: new Float32Array(${6 * width}).fill(0.5),
  offsets: Int32Array.of(0, 2), out: new Float32Array(${2 * width}) };
const result = { cuda: native.platform().backends.find(({ name }) => name === 'cuda') };
try { native.runOp('cuda', 'attention', args); result.out = args.out[0]; } catch ({ code, message }) { Object.assign(result, { code, message }); }
console.log(JSON.stringify(result));`;

describe('a device', () => {
  test('of an older architecture is not available, and says so', () => {
    const reason = expect.stringMatching(/has the compute capability 7\.5, expected 8\.0 or more .*device cpu$/);
    const { cuda, code, message } = on(75, ATTENTION(64));
    expect(cuda).toMatchObject({ available: false, reason });
    expect({ code, message }).toEqual({ code: 'ERR_DEVICE_UNAVAILABLE', message: reason });
  });

  test('with less shared memory a block takes narrow heads and refuses wide ones', () => {
    expect(on(86, ATTENTION(64)).out).toBeCloseTo(0.5, 5);
    expect(on(86, ATTENTION(128))).toMatchObject({
      code: 'ERR_DEVICE_LIMIT',
      message: expect.stringMatching(/attention takes \d+ bytes of shared memory a block, CUDA device 0 has 101376/),
    });
    expect(on(80, ATTENTION(128)).out).toBeCloseTo(0.5, 5);
  });
});
