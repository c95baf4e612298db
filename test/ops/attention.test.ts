import { describe, expect, test } from 'vitest';
import { devices, expectClose, runOp, unwritten } from '../support/native-ops';
import { type AttentionArguments, cases, reference } from './attention.cases';

const run = (device: string, args: AttentionArguments) =>
  runOp(device, 'attention', args, { out: unwritten(args.T * args.C) }).out;

describe.each(devices)('attention on %s', (device) => {
  test.each(cases)('attends in $name', ({ args }) => {
    expectClose(run(device, args), (round) => reference(args, round));
  });

  test('a text of a batch has the bits of the same text alone', () => {
    for (const { args } of cases) {
      const together = run(device, args);
      for (let b = 0; b < args.B; b++) {
        const [first, end] = [args.offsets[b]!, args.offsets[b + 1]!];
        const qkv = args.qkv.subarray(first * 3 * args.C, end * 3 * args.C);
        const alone = run(device, { ...args, B: 1, T: end - first, qkv, offsets: Int32Array.of(0, end - first) });
        expect(alone).toEqual(together.subarray(first * args.C, end * args.C));
      }
    }
  });
});
