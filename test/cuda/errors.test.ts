import { describe, expect, test, vi } from 'vitest';
import { native } from '../../lib/native';
import { randomFloats, runOp, unwritten } from '../support/native-ops';

// Read when the library is opened, which an import does. The device takes one allocation for itself.
vi.hoisted(() => {
  process.env.FLES_EMULATE_FAIL_ALLOCATION = '3';
});

const args = {
  T: 5,
  C: 7,
  eps: 1e-5,
  in: randomFloats(35, 1),
  gamma: randomFloats(7, 2),
  beta: randomFloats(7, 3),
};
const run = (device: string) => runOp(device, 'layernorm', args, { out: unwritten(35) }).out;

describe('errors on cuda', () => {
  test('memory that is refused is told with what was asked and what is free, and the device goes on', () => {
    expect(() => run('cuda')).toThrow(
      expect.objectContaining({
        code: 'ERR_OUT_OF_MEMORY',
        message: expect.stringMatching(/28 bytes were asked of CUDA device 0, which has \d+ of \d+ free/),
      }),
    );
    expect(run('cuda')).toEqual(run('cuda'));
  });

  test.each([
    ['cuda:7', 'ERR_DEVICE_UNAVAILABLE', /CUDA device 7 was asked for, expected 0\.\.0/],
    ['cuda:', 'ERR_OPTION_VALUE', /expected auto \| cpu \| cuda \| cuda:N/],
    ['cuda:-1', 'ERR_OPTION_VALUE', /expected auto/],
    ['cuda:1e3', 'ERR_OPTION_VALUE', /expected auto/],
  ])('device %j is refused', (device, code, message) => {
    expect(() => run(device)).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
  });

  test('heads that are wider than the kernels take are refused', () => {
    const C = 129;
    const wide = {
      B: 1,
      T: 2,
      C,
      H: 1,
      seed: 0,
      dropout: 0,
      qkv: randomFloats(6 * C, 1),
      offsets: Int32Array.of(0, 2),
    };
    expect(() => runOp('cuda', 'attention', wide, { out: unwritten(2 * C) })).toThrow(
      expect.objectContaining({ code: 'ERR_DEVICE_LIMIT' }),
    );
  });

  test('the emulator is named as what it is, and auto does not take it', () => {
    const cuda = native.platform().backends.find(({ name }) => name === 'cuda')!;
    expect(cuda).toMatchObject({ available: true, reason: '', description: expect.stringMatching(/emulated/) });
  });
});
