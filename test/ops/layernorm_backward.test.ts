import { describe, expect, test } from 'vitest';
import { devices, expectClose, layernormRow, runOp, unwritten } from '../support/native-ops';
import { cases, reference } from './layernorm_backward.cases';

const before = 0.5;

test('the gradients that are tested against are difference quotients of the norm', () => {
  const { args } = cases.find(({ name }) => name.includes('vectors and a rest'))!;
  const { C, gamma, d_out } = args;
  const row = [...args.in.subarray(0, C)];
  // What d_out is the gradient of, as a function of the first row and of gamma.
  const loss = (x: number[], scale: ArrayLike<number>) =>
    layernormRow(x, scale, new Float32Array(C), args.eps, (value) => value).reduce((s, y, c) => s + y * d_out[c]!, 0);
  const changed = <V extends ArrayLike<number>>(values: V, at: number, by: number) =>
    Array.from(values, (value, c) => (c === at ? value + by : value));
  const exact = reference({ ...args, T: 1, in: args.in.subarray(0, C) }, 0, (x) => x);
  const h = 1e-5;
  for (let c = 0; c < C; c++) {
    const ofRow = (loss(changed(row, c, h), gamma) - loss(changed(row, c, -h), gamma)) / (2 * h);
    const ofGamma = (loss(row, changed(gamma, c, h)) - loss(row, changed(gamma, c, -h))) / (2 * h);
    // h^2 of the quotient and 1e-16 / h of rounding, with factors of some tens.
    expect(Math.abs(ofRow - exact.d_in[c]!)).toBeLessThan(1e-8);
    expect(Math.abs(ofGamma - exact.d_gamma[c]!)).toBeLessThan(1e-8);
  }
});

describe.each(devices)('layernorm_backward on %s', (device) => {
  test.each(cases)('assigns d_in and adds to d_gamma and d_beta: $name', ({ args }) => {
    const { T, C } = args;
    const out = runOp(device, 'layernorm_backward', args, {
      d_in: unwritten(T * C),
      d_gamma: new Float32Array(C).fill(before),
      d_beta: new Float32Array(C).fill(before),
    });
    for (const gradient of ['d_in', 'd_gamma', 'd_beta'] as const) {
      expectClose(out[gradient], (round) => reference(args, before, round)[gradient]);
    }
  });

  test('the gradient of a row sums to 0 and has no part along the row, whatever comes in', () => {
    const { args } = cases.find(({ name }) => name.includes('bert-base'))!;
    const { T, C } = args;
    const { d_in } = runOp(device, 'layernorm_backward', args, {
      d_in: unwritten(T * C),
      d_gamma: new Float32Array(C),
      d_beta: new Float32Array(C),
    });
    for (let t = 0; t < T; t++) {
      const d = d_in.subarray(t * C, (t + 1) * C);
      const size = d.reduce((sum, value) => sum + Math.abs(value), 0);
      // C values of float32, each rounded to 2^-24 of the largest terms it is made of.
      expect(Math.abs(d.reduce((sum, value) => sum + value, 0))).toBeLessThan(size * 1e-6);
      expect(Math.abs(d.reduce((sum, value, c) => sum + value * args.in[t * C + c]!, 0))).toBeLessThan(size * 1e-5);
    }
  });
});
