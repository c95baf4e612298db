import { describe, expect, test } from 'vitest';
import { native } from '../../lib/native';
import { devices, expectClose, remembered, runOp, unwritten } from '../support/native-ops';
import { type AttentionArguments, cases, reference as computed, longTexts } from './attention.cases';

const reference = remembered(computed);

const run = (device: string, args: AttentionArguments) =>
  runOp(device, 'attention', args, { out: unwritten(args.T * args.C), log_sums: unwritten(args.T * args.H) });

const runRounded = (device: string, args: AttentionArguments) =>
  runOp(device, 'attention', { ...args, dtype: 'bfloat16' }, { out: unwritten(args.T * args.C) });

/** Every text of `args` has the results that `attend` gives it alone. */
function expectSameAlone(args: AttentionArguments, attend: (args: AttentionArguments) => Record<string, Float32Array>) {
  const together = attend(args);
  for (let b = 0; b < args.B; b++) {
    const [first, end] = [args.offsets[b]!, args.offsets[b + 1]!];
    const rows = (values: Float32Array, columns: number) => values.subarray(first * columns, end * columns);
    const alone = attend({
      ...args,
      B: 1,
      T: end - first,
      qkv: rows(args.qkv, 3 * args.C),
      offsets: Int32Array.of(0, end - first),
      text_ids: args.text_ids.subarray(b, b + 1),
    });
    const expected = Object.entries(together).map(([name, values]) => [
      name,
      rows(values, values.length / args.T || 0),
    ]);
    expect(alone).toEqual(Object.fromEntries(expected));
  }
}

describe.each(devices)('attention on %s', (device) => {
  test.each(cases)('attends in $name', ({ args }) => {
    const { out, log_sums } = run(device, args);
    expectClose(out, (round) => reference(args, round).out);
    expectClose(log_sums, (round) => reference(args, round).log_sums);
  });

  test('a text of a batch has the bits of the same text alone', () => {
    for (const { args } of cases) expectSameAlone(args, (args) => run(device, args));
  });

  test.each(longTexts)('attends in $name with less exact products, each text as alone', ({ args }) => {
    const rounded = (args: AttentionArguments) => runRounded(device, args);
    const largest = Math.max(...reference(args, Math.fround).out.map(Math.abs));
    expectClose(rounded(args).out, (round) => reference(args, round).out, 2 ** -7 * largest);
    expectSameAlone(args, rounded);
  });

  test('dropout and log sums are as exact whatever the type', () => {
    const { args } = longTexts[0]!;
    const outputs = () => ({ out: unwritten(args.T * args.C), log_sums: unwritten(args.T * args.H) });
    expect(runOp(device, 'attention', { ...args, dtype: 'bfloat16' }, outputs())).toEqual(run(device, args));
    const dropped = { ...args, dropout: 0.1 };
    const out = () => ({ out: unwritten(args.T * args.C) });
    expect(runOp(device, 'attention', { ...dropped, dtype: 'bfloat16' }, out())).toEqual(
      runOp(device, 'attention', dropped, out()),
    );
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
