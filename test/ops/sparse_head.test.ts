import { describe, expect, test } from 'vitest';
import { type DataType, dataTypes } from '../support/data-types';
import { devices, expectClose, runOp, unwritten } from '../support/native-ops';
import { cases, logits, reference, type SparseHeadArguments } from './sparse_head.cases';

const run = (device: string, args: SparseHeadArguments, dtype: DataType = 'float32') =>
  runOp(device, 'sparse_head', { ...args, dtype }, { pooled: unwritten(args.B * args.V) }).pooled;

const runWithArgmax = (device: string, args: SparseHeadArguments, dtype: DataType = 'float32') =>
  runOp(
    device,
    'sparse_head',
    { ...args, dtype },
    {
      pooled: unwritten(args.B * args.V),
      argmax: new Int32Array(args.B * args.V).fill(-7),
    },
  );

/** Values of texts with tokens; an empty text has no number to compare. */
function ofTextsWithTokens<T extends { filter(keep: (value: number, i: number) => boolean): T }>(
  args: SparseHeadArguments,
  values: T,
): T {
  return values.filter((_, i) => {
    const b = Math.floor(i / args.V);
    return args.offsets[b + 1]! > args.offsets[b]!;
  });
}

const typed = dataTypes.flatMap((dtype) => cases.map((one) => ({ ...one, dtype })));
const withMax = typed.filter(({ args }) => args.pooling === 'max');

describe.each(devices)('sparse_head on %s', (device) => {
  test.each(typed)('pools $name in $dtype', ({ args, dtype }) => {
    const pooled = run(device, args, dtype);
    expectClose(ofTextsWithTokens(args, pooled), (round) => ofTextsWithTokens(args, reference(args, dtype, round)));
  });

  test('a text without tokens gets -infinity (max) or 0 (sum), and argmax -1', () => {
    for (const { args } of cases) {
      const empty = args.pooling === 'max' ? Number.NEGATIVE_INFINITY : 0;
      const pooled = run(device, args);
      const argmax = args.pooling === 'max' ? runWithArgmax(device, args).argmax : undefined;
      for (let b = 0; b < args.B; b++) {
        if (args.offsets[b + 1]! > args.offsets[b]!) continue;
        const row = [b * args.V, (b + 1) * args.V] as const;
        expect(new Set(pooled.subarray(...row))).toEqual(new Set([empty]));
        if (argmax) expect(new Set(argmax.subarray(...row))).toEqual(new Set([-1]));
      }
    }
  });

  test.each(withMax)('argmax is the lowest row of the largest logit: $name in $dtype', ({ args, dtype }) => {
    const { pooled, argmax } = runWithArgmax(device, args, dtype);
    expect(pooled, 'argmax changes nothing').toEqual(run(device, args, dtype));
    // Rows with the same input have the same logits to the bit, so the lowest of equal rows is the one expected here.
    const z = logits(args, dtype, (x) => x);
    for (let b = 0; b < args.B; b++) {
      const rows = Array.from({ length: args.offsets[b + 1]! - args.offsets[b]! }, (_, i) => args.offsets[b]! + i);
      if (rows.length === 0) continue;
      for (let v = 0; v < args.V; v++) {
        const best = rows.reduce((best, t) => (z[t * args.V + v]! > z[best * args.V + v]! ? t : best));
        expect(argmax[b * args.V + v]).toBe(best);
      }
    }
  });

  test.each(dataTypes)('a text of a batch has the bits of the same text alone in %s', (dtype) => {
    for (const { args } of cases) {
      const together = run(device, args, dtype);
      for (let b = 0; b < args.B; b++) {
        const [first, end] = [args.offsets[b]!, args.offsets[b + 1]!];
        const input = args.in.subarray(first * args.C, end * args.C);
        const alone = { ...args, B: 1, T: end - first, in: input, offsets: Int32Array.of(0, end - first) };
        expect(run(device, alone, dtype)).toEqual(together.subarray(b * args.V, (b + 1) * args.V));
      }
    }
  });

  test('argmax of sums is refused', () => {
    const { args } = cases.find(({ args }) => args.pooling === 'sum')!;
    expect(() => runWithArgmax(device, args)).toThrow(/argmax is asked of a sum/);
  });
});
