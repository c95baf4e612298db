import { describe, expect, test } from 'vitest';
import { devices, expectClose, runOp, unwritten } from '../support/native-ops';
import { cases, type FlopsArguments, reference } from './flops.cases';

const run = (device: string, args: FlopsArguments) =>
  runOp(device, 'flops', args, { value: unwritten(1), d_weights: unwritten(args.B * args.V) });

describe.each(devices)('flops on %s', (device) => {
  test.each(cases)('gives the value and its scaled gradient: $name', ({ args }) => {
    const out = run(device, args);
    expectClose(out.value, (round) => reference(args, round).value);
    expectClose(out.d_weights, (round) => reference(args, round).d_weights);
  });

  test('the mean is over all rows, those that the mask leaves out included', () => {
    const args = { ...cases[1]!.args, B: 2, V: 1, weights: Float32Array.of(3, 5), mask: Float32Array.of(1, 0) };
    expect(run(device, { ...args, norm: 'L1' }).value[0]).toBe(1.5);
    expect(run(device, { ...args, norm: 'L2' }).value[0]).toBe(2.25);
  });
});
