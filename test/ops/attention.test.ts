import { describe, expect, test } from 'vitest';
import { native } from '../../lib/native';
import { devices, expectClose, remembered, runOp, unwritten } from '../support/native-ops';
import { type AttentionArguments, cases, reference as computed } from './attention.cases';

const reference = remembered(computed);

const run = (device: string, args: AttentionArguments) =>
  runOp(device, 'attention', args, { out: unwritten(args.T * args.C), log_sums: unwritten(args.T * args.H) });

describe.each(devices)('attention on %s', (device) => {
  test.each(cases)('attends in $name', ({ args }) => {
    const { out, log_sums } = run(device, args);
    expectClose(out, (round) => reference(args, round).out);
    expectClose(log_sums, (round) => reference(args, round).log_sums);
  });

  test('a text of a batch has the bits of the same text alone', () => {
    for (const { args } of cases) {
      const together = run(device, args);
      for (let b = 0; b < args.B; b++) {
        const [first, end] = [args.offsets[b]!, args.offsets[b + 1]!];
        const rows = (values: Float32Array, columns: number) => values.subarray(first * columns, end * columns);
        const alone = run(device, {
          ...args,
          B: 1,
          T: end - first,
          qkv: rows(args.qkv, 3 * args.C),
          offsets: Int32Array.of(0, end - first),
          text_ids: args.text_ids.subarray(b, b + 1),
        });
        expect(alone).toEqual({ out: rows(together.out, args.C), log_sums: rows(together.log_sums, args.H) });
      }
    }
  });

  test('the output is the same whether log sums are asked for or not', () => {
    for (const { args } of cases) {
      const { out } = runOp(device, 'attention', args, { out: unwritten(args.T * args.C) });
      expect(out).toEqual(run(device, args).out);
    }
  });

  test('dropout without text ids, or of everything, is refused', () => {
    const { args } = cases[2]!;
    const out = unwritten(args.T * args.C);
    for (const change of [{ dropout: 0.1, text_ids: null }, { dropout: 1 }, { dropout: -0.1 }, { dropout: 0.999999 }]) {
      expect(() => native.runOp(device, 'attention', { ...args, ...change, out })).toThrow(
        expect.objectContaining({ code: 'ERR_ARGUMENT_VALUE' }),
      );
    }
  });
});
