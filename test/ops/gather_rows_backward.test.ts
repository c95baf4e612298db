import { describe, expect, test } from 'vitest';
import { devices, runOp } from '../support/native-ops';
import { cases } from './gather_rows_backward.cases';

describe.each(devices)('gather_rows_backward on %s', (device) => {
  test.each(cases)('puts each row in its place and leaves the others: $name', ({ args }) => {
    const { R, C } = args;
    const { d_in } = runOp(device, 'gather_rows_backward', args, { d_in: new Float32Array(R * C).fill(0.5) });
    const expected = new Float32Array(R * C).fill(0.5);
    for (const [i, row] of args.rows.entries()) expected.set(args.d_out.subarray(i * C, (i + 1) * C), row * C);
    expect(d_in).toEqual(expected);
  });
});
