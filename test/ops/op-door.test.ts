import { expect, test } from 'vitest';
import { FlesError } from '../../lib/errors';
import { native } from '../../lib/native';
import { cases } from './layernorm.cases';

const { args } = cases[1]!;
const good = { ...args, out: new Float32Array(args.T * args.C) };

/** The code of what running an op throws. */
function codeOf(device: string, op: string, args: object): string {
  try {
    native.runOp(device, op, args);
  } catch (error) {
    expect(error).toBeInstanceOf(FlesError);
    return (error as FlesError).code;
  }
  return 'none';
}

test('the door runs an op on the backend that is chosen and on a level by name', () => {
  for (const device of ['auto', 'cpu', 'cpu:portable']) expect(codeOf(device, 'layernorm', good)).toBe('none');
});

test('the door refuses what it does not know', () => {
  expect(codeOf('cpu', 'softmax', good)).toBe('ERR_OP_UNKNOWN');
  expect(codeOf('cpu:sse1', 'layernorm', good)).toBe('ERR_CPU_LEVEL');
  expect(codeOf('tpu', 'layernorm', good)).toBe('ERR_OPTION_VALUE');
});

test('the door refuses arguments that do not fit the op', () => {
  const code = (change: object) => codeOf('cpu', 'layernorm', { ...good, ...change });
  expect(code({ T: -1 })).toBe('ERR_ARGUMENT_VALUE');
  expect(code({ T: 1.5 })).toBe('ERR_ARGUMENT_TYPE');
  expect(code({ T: undefined })).toBe('ERR_ARGUMENT_TYPE');
  expect(code({ T: args.T + 1 })).toBe('ERR_ARGUMENT_LENGTH');
  expect(code({ in: [...args.in] })).toBe('ERR_ARGUMENT_TYPE');
  expect(code({ in: Float64Array.from(args.in) })).toBe('ERR_ARGUMENT_TYPE');
  expect(code({ gamma: null })).toBe('ERR_ARGUMENT_TYPE');
  expect(code({ out: undefined })).toBe('ERR_ARGUMENT_TYPE');
});

test('an output may be a part of a larger array', () => {
  const room = new Float32Array(good.out.length + 4).fill(9);
  native.runOp('cpu', 'layernorm', { ...good, out: room.subarray(2, room.length - 2) });
  native.runOp('cpu', 'layernorm', good);
  expect([...room]).toEqual([9, 9, ...good.out, 9, 9]);
});
