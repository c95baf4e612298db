import { describe, expect, test } from 'vitest';
import { devices, expectClose, runOp, unwritten } from '../support/native-ops';
import { type ActivationArguments, cases, everywhere, reference } from './activation.cases';

/** The approximation of the normal distribution is within 6e-8 and 0 or 1 for |x| above 5.6; rounding adds as much. */
const approximation = (a: ActivationArguments) => (a.activation.startsWith('gelu') ? 6e-7 : 0);

describe.each(devices)('activation on %s', (device) => {
  test.each(cases)('is the function of each value, $name', ({ args }) => {
    const { out } = runOp(device, 'activation', args, { out: unwritten(args.T * args.N) });
    expectClose(out, (round) => reference(args, round), approximation(args));
  });

  test('none and relu change no bit of what they keep', () => {
    const values = everywhere(101);
    const args = { T: 1, N: 101, in: values };
    const none = runOp(device, 'activation', { ...args, activation: 'none' }, { out: unwritten(101) });
    const relu = runOp(device, 'activation', { ...args, activation: 'relu' }, { out: unwritten(101) });
    expect(none.out).toEqual(values);
    expect(relu.out).toEqual(values.map((x) => Math.max(x, 0)));
  });

  test.each(['gelu', 'gelu_new', 'none'])('%s of what is no number is no number', (activation) => {
    const { out } = runOp(
      device,
      'activation',
      { T: 1, N: 9, activation, in: new Float32Array(9).fill(Number.NaN) },
      { out: new Float32Array(9) },
    );
    expect([...out]).toEqual(Array(9).fill(Number.NaN));
  });
});
