import { describe, expect, test } from 'vitest';
import { devices, expectClose, runOp, unwritten } from '../support/native-ops';
import { activate, activations, everywhere, slope } from './activation.cases';
import { cases, reference } from './activation_backward.cases';

test.each(activations)('the slope of %s that is tested against is the difference quotient', (kind) => {
  const h = 1e-5;
  for (const x of everywhere(200)) {
    // The error of the quotient: h^2 / 6 of a third derivative below 3, and 1e-16 x / h of rounding.
    expect(Math.abs((activate(x + h, kind) - activate(x - h, kind)) / (2 * h) - slope(x, kind))).toBeLessThan(1e-9);
  }
});

describe.each(devices)('activation_backward on %s', (device) => {
  test.each(cases)('multiplies by the slope, $name', ({ args }) => {
    const { d_in } = runOp(device, 'activation_backward', args, { d_in: unwritten(args.T * args.N) });
    // The normal distribution's share is within 2e-7 and d_out at most 2; exp adds as much again.
    expectClose(d_in, (round) => reference(args, round), args.activation.startsWith('gelu') ? 8e-7 : 0);
  });

  test('no gradient passes relu at 0', () => {
    const args = { T: 1, N: 3, activation: 'relu', in: Float32Array.of(-0, 0, 1e-30), d_out: Float32Array.of(1, 1, 1) };
    expect([...runOp(device, 'activation_backward', args, { d_in: unwritten(3) }).d_in]).toEqual([0, 0, 1]);
  });
});
