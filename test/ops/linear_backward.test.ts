import { describe, expect, test } from 'vitest';
import { native } from '../../lib/native';
import { dataTypesOf } from '../support/data-types';
import { devices, expectClose, runOp, unwritten } from '../support/native-ops';
import { cases, reference } from './linear_backward.cases';

const before = 0.5;

describe.each(devices)('linear_backward on %s', (device) => {
  const types = dataTypesOf(device).filter((dtype) => dtype !== 'int8');
  const typed = types.flatMap((dtype) => cases.map((one) => ({ ...one, dtype })));

  test.each(typed)('assigns d_in and adds to d_weight and d_bias in $dtype: $name', ({ args, dtype }) => {
    const { T, N, K } = args;
    const out = runOp(
      device,
      'linear_backward',
      { ...args, dtype },
      {
        d_in: unwritten(T * K),
        d_weight: new Float32Array(N * K).fill(before),
        d_bias: new Float32Array(N).fill(before),
      },
    );
    for (const gradient of ['d_in', 'd_weight', 'd_bias'] as const) {
      expectClose(out[gradient], (round) => reference(args, dtype, before, round)[gradient]);
    }
  });

  test('gradients that are not asked for cost no inputs', () => {
    const args = { ...cases[3]!.args, dtype: 'float32' };
    const { T, N, K } = args;
    const all = runOp(device, 'linear_backward', args, { d_in: unwritten(T * K), d_weight: new Float32Array(N * K) });
    const dIn = runOp(device, 'linear_backward', { ...args, in: null }, { d_in: unwritten(T * K) });
    const dWeight = runOp(device, 'linear_backward', { ...args, weight: null }, { d_weight: new Float32Array(N * K) });
    expect([dIn.d_in, dWeight.d_weight]).toEqual([all.d_in, all.d_weight]);
  });

  if (device.startsWith('cpu')) {
    test('int16 keeps small gradients beside one that dwarfs them', () => {
      // As of a softmax over a vocabulary: one value of -1, and as much again over all the others.
      const [N, K] = [30522, 2];
      const d_out = new Float32Array(N).fill(1 / N);
      d_out[17] = -1;
      const weight = Float32Array.from({ length: N * K }, (_, i) => (i % K === 0 ? 1 : i === 2 * 17 + 1 ? 0 : 1));
      const args = { T: 1, N, K, d_out, in: null, weight, dtype: 'int16' };
      const { d_in } = runOp(device, 'linear_backward', args, { d_in: unwritten(K) });
      expect(d_in[0]).toBeCloseTo(0, 2);
      expect(d_in[1]).toBeCloseTo(1, 2);
    });
  }

  if (!device.startsWith('cpu')) {
    test('a device has no int16', () => {
      const args = { ...cases[3]!.args, dtype: 'int16', d_in: new Float32Array(cases[3]!.args.T * cases[3]!.args.K) };
      expect(() => native.runOp(device, 'linear_backward', args)).toThrow(
        expect.objectContaining({ code: 'ERR_ARGUMENT_VALUE', message: expect.stringContaining('int16') }),
      );
    });
  }

  test('a gradient without what it is made of is refused', () => {
    const args = { ...cases[3]!.args, dtype: 'float32' };
    const refused = { code: 'ERR_ARGUMENT_VALUE' };
    const d_in = new Float32Array(args.T * args.K);
    expect(() => native.runOp(device, 'linear_backward', { ...args, weight: null, d_in })).toThrow(
      expect.objectContaining(refused),
    );
  });
});
