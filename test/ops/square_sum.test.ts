import { describe, expect, test } from 'vitest';
import { devices, runOp, unwritten } from '../support/native-ops';
import { cases, reference, type SquareSumArguments } from './square_sum.cases';

const run = (device: string, args: SquareSumArguments) =>
  runOp(device, 'square_sum', args, { out: unwritten(1) }).out[0]!;

describe.each(devices)('square_sum on %s', (device) => {
  test.each(cases)('is the float32 nearest to the sum: $name', ({ args }) => {
    // In double the order of the sum moves it by some 1e-13, which can move a float32 by one place at most.
    const [sum, exact] = [run(device, args), reference(args)];
    expect(Math.abs(sum - exact)).toBeLessThanOrEqual(exact * 2 ** -23.9);
  });

  test('a value that is infinite or no number shows, wherever it stands', () => {
    for (const count of [1, 9, 40_000]) {
      for (const at of [0, count - 1]) {
        const values = new Float32Array(count).fill(0.5);
        values[at] = Number.NEGATIVE_INFINITY;
        expect(run(device, { count, in: values })).toBe(Number.POSITIVE_INFINITY);
        values[at] = Number.NaN;
        expect(run(device, { count, in: values })).toBe(Number.NaN);
      }
    }
  });
});
