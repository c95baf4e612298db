import { describe, expect, test } from 'vitest';
import { devices, expectClose, remembered, rowsStandAlone, runOp, unwritten } from '../support/native-ops';
import { cases, reference as computed, type SparseHeadBackwardArguments } from './sparse_head_backward.cases';

const before = 0.5;
const reference = remembered((args: SparseHeadBackwardArguments, round) => computed(args, before, round));
/** A gradient that depends on its logit, as those of sums do near 0, has the rounding of a sum of C products. */
const ofLogits = ({ pooling, C }: SparseHeadBackwardArguments) => (pooling === 'max' ? 0 : C * 2 ** -23);

const run = (device: string, args: SparseHeadBackwardArguments) =>
  runOp(device, 'sparse_head_backward', args, {
    d_in: unwritten(args.T * args.C),
    d_weight: new Float32Array(args.V * args.C).fill(before),
    d_bias: new Float32Array(args.V).fill(before),
  });

describe.each(devices)('sparse_head_backward on %s', (device) => {
  test.each(cases)('assigns d_in and adds to d_weight and d_bias: $name', ({ args }) => {
    const out = run(device, args);
    expectClose(out.d_in, (round) => reference(args, round).d_in, ofLogits(args));
    expectClose(out.d_weight, (round) => reference(args, round).d_weight, ofLogits(args));
    expectClose(out.d_bias, (round) => reference(args, round).d_bias, ofLogits(args));
  });

  test.skipIf(!rowsStandAlone(device))('a text of a batch gets the bits of the same text alone', () => {
    for (const { args } of cases) {
      const { C, V } = args;
      const together = run(device, args).d_in;
      for (let b = 0; b < args.B; b++) {
        const [first, end] = [args.offsets[b]!, args.offsets[b + 1]!];
        const alone = {
          ...args,
          B: 1,
          T: end - first,
          in: args.in.subarray(first * C, end * C),
          offsets: Int32Array.of(0, end - first),
          d_pooled: args.d_pooled.subarray(b * V, (b + 1) * V),
          argmax: args.argmax?.slice(b * V, (b + 1) * V).map((row) => (row < 0 ? row : row - first)) ?? null,
        };
        expect(run(device, alone).d_in).toEqual(together.subarray(first * C, end * C));
      }
    }
  });

  test('max pooling without argmax, and argmax with a sum, are refused', () => {
    const [max, sum] = ['max', 'sum'].map((pooling) => cases.find(({ args }) => args.pooling === pooling)!.args);
    expect(() => run(device, { ...max!, argmax: null })).toThrow(/argmax goes with max pooling/);
    expect(() => run(device, { ...sum!, argmax: max!.argmax })).toThrow(/argmax goes with max pooling/);
  });
});
