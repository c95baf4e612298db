import { describe, expect, test } from 'vitest';
import { native } from '../../lib/native';
import { type DataType, dataTypes, dataTypesOf } from '../support/data-types';
import {
  devices,
  expectClose,
  randomFloats,
  remembered,
  rowsStandAlone,
  runOp,
  unwritten,
} from '../support/native-ops';
import { cases, logits, reference, type SparseHeadArguments } from './sparse_head.cases';

const run = (device: string, args: SparseHeadArguments, dtype: DataType = 'float32') =>
  runOp(
    device,
    'sparse_head',
    { cut: 0, least: 0, least_from: 0, ...args, dtype },
    { pooled: unwritten(args.B * args.V) },
  ).pooled;

const runWithArgmax = (device: string, args: SparseHeadArguments, dtype: DataType = 'float32') =>
  runOp(
    device,
    'sparse_head',
    { cut: 0, least: 0, least_from: 0, ...args, dtype },
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

const everyType = dataTypes.flatMap((dtype) => {
  const expected = remembered((args: SparseHeadArguments, round) => reference(args, dtype, round));
  return cases.map((one) => ({ ...one, dtype, expected }));
});

describe.each(devices)('sparse_head on %s', (device) => {
  const typed = everyType.filter(({ dtype }) => dataTypesOf(device).includes(dtype));
  const withMax = typed.filter(({ args }) => args.pooling === 'max');
  test.each(typed)('pools $name in $dtype', ({ args, dtype, expected }) => {
    const pooled = ofTextsWithTokens(args, run(device, args, dtype));
    // Tensor cores of a device add eight products at once and cut the sum off, which nothing evens out.
    const cutOff = dtype === 'bfloat16' && !rowsStandAlone(device);
    const largest = pooled.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const extra = cutOff ? (args.C / 8) * 2 ** -23 * largest : 0;
    expectClose(pooled, (round) => ofTextsWithTokens(args, expected(args, round)), extra);
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

  test.each(dataTypesOf(device))('a text of a batch has the bits of the same text alone in %s', (dtype) => {
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

  describe('with a screen', () => {
    /** Values and rows with the screen, and how many terms it let pass. */
    const screened = (args: SparseHeadArguments, cut: number, dtype: DataType = 'float32', least = 0, least_from = 0) =>
      runOp(
        device,
        'sparse_head',
        { ...args, dtype, cut, least, least_from, screen: args.weight },
        {
          pooled: unwritten(args.B * args.V),
          argmax: new Int32Array(args.B * args.V).fill(-7),
          candidates: new Int32Array(1),
        },
      );
    /** Few logits above 0; with `outlier`, one input of each row dwarfs the others, so that int8 keeps little of them. */
    const sparse = (outlier: boolean, [V, C] = [2000, 48], long = 27) => {
      const T = 4 + long;
      const offsets = Int32Array.of(0, 3, 3, 3 + long, T);
      const input = randomFloats(T * C, 51).map((x, i) => (outlier && i % C === 7 ? 40 * x : x));
      input.fill(0, 5 * C, 6 * C); // a row of zeros
      const weight = randomFloats(V * C, 52).map((x, i) => (outlier && i % C === 7 ? x / 40 : x));
      const bias = randomFloats(V, 53).map((x) => x - 30);
      return { B: 4, T, C, V, pooling: 'max' as const, in: input, weight, bias, offsets };
    };

    /** Values that int8 has exactly: what other types round is not covered by what rounding to int8 takes. */
    const exact = () => {
      const args = sparse(false);
      const whole = (values: Float32Array, step: number) =>
        values.map((x, i) => step * (i % args.C === 0 ? 127 : Math.round(60 * x)));
      return { ...args, in: whole(args.in, 1.0049 / 127), weight: whole(args.weight, 1.0049 / 127) };
    };

    /** The same of values halfway between two of bfloat16, all of which are rounded up. */
    const halfway = () => {
      const [V, C] = [200, 48];
      const value = 1 + 3 / 256;
      const input = new Float32Array(2 * C).fill(value);
      const weight = Float32Array.from({ length: V * C }, (_, i) => (i % C < Math.floor(i / C) % C ? -value : value));
      const offsets = Int32Array.of(0, 1, 2);
      return { B: 2, T: 2, C, V, pooling: 'max' as const, in: input, weight, bias: new Float32Array(V), offsets };
    };

    const screens: [string, SparseHeadArguments][] = [
      ['even inputs', sparse(false)],
      ['inputs that int8 has exactly', exact()],
      ['inputs that bfloat16 rounds up', halfway()],
      ['inputs with outliers', sparse(true)],
      ['a number of inputs that fills no group', sparse(false, [530, 7])],
      ['fast numerics', { ...sparse(false, [530, 64], 147), numerics: 'fast' }],
      ...withMax
        .filter(({ dtype }) => dtype === 'float32')
        .map(({ name, args }): [string, SparseHeadArguments] => [name, args]),
    ];
    const typedScreens = dataTypesOf(device)
      .filter((dtype) => dtype !== 'int8')
      .flatMap((dtype) => screens.map(([name, args]) => ({ dtype, name, args })));

    test.each(typedScreens)(
      'every value above the cut has the bits and the row it has without: $name in $dtype',
      ({ args, dtype }) => {
        const whole = runWithArgmax(device, args, dtype);
        const finite = whole.pooled.filter(Number.isFinite);
        // Just below some of the values.
        const barely = Array.from(
          finite.filter((_, i) => i % Math.ceil(finite.length / 20) === 0),
          (x) => x - Math.abs(x) * 2 ** -22,
        );
        for (const cut of [0, 0.7, 5, ...barely]) {
          const { pooled, argmax } = screened(args, cut, dtype);
          const wrong = Array.from(whole.pooled.keys()).filter((i) => {
            const left = pooled[i] === Number.NEGATIVE_INFINITY && argmax[i] === -1;
            if (whole.pooled[i]! <= cut && left) return false;
            return !Object.is(pooled[i], whole.pooled[i]) || argmax[i] !== whole.argmax[i];
          });
          expect(wrong, `with cut ${cut}`).toEqual([]);
        }
      },
    );

    test('nothing is left out where a text has too few values above the cut', () => {
      const args = sparse(false);
      const whole = runWithArgmax(device, args);
      const above = (b: number) => whole.pooled.subarray(b * args.V, (b + 1) * args.V).filter((z) => z > 0).length;
      const counts = Array.from({ length: args.B }, (_, b) => above(b));
      const most = Math.max(...counts);
      expect(most).toBeGreaterThan(counts[3]!);
      for (const least of [1, counts[3]!, counts[3]! + 1, most + 1, args.V + 5]) {
        for (const from of [0, 3, 4]) {
          const { pooled, argmax, candidates } = screened(args, 0, 'float32', least, from);
          const hasTokens = (b: number) => args.offsets[b + 1]! > args.offsets[b]!;
          if (device === 'cuda' || counts.some((count, b) => b >= from && hasTokens(b) && count < least)) {
            expect(pooled).toEqual(whole.pooled);
            expect(argmax).toEqual(whole.argmax);
            expect(candidates[0]).toBe(args.B * args.V);
          } else {
            expect(candidates[0]).toBeLessThan(3 * counts.reduce((sum, count) => sum + count));
          }
        }
      }
    });

    test('few terms pass where few are above the cut', () => {
      const args = sparse(false);
      const above = runWithArgmax(device, args).pooled.filter((z) => z > 0).length;
      const { candidates } = screened(args, 0);
      expect(above).toBeGreaterThan(20);
      expect(candidates[0]).toBeGreaterThanOrEqual(above);
      // A device with tensor cores computes all of them: it has nothing to gain.
      if (device !== 'cuda') expect(candidates[0]).toBeLessThan(3 * above);
      else expect(candidates[0]).toBe(4 * args.V);
    });

    test('a sum or a weight in another type is refused', () => {
      const { args } = cases.find(({ args }) => args.pooling === 'sum')!;
      expect(() => screened(args, 0)).toThrow(/sum/);
      const other = { ...sparse(false), dtype: 'int8', cut: 0, least: 0, least_from: 0 };
      expect(() =>
        native.runOp(device, 'sparse_head', { ...other, screen: other.weight, pooled: unwritten(4 * other.V) }),
      ).toThrow(/in int8/);
    });
  });

  test('fast numerics are as exact', () => {
    const { args } = withMax.find(({ args }) => args.C === 768)!;
    // The texts again and again, so that there are many rows.
    const times = 12;
    const many = {
      ...args,
      B: times,
      T: times * args.T,
      in: Float32Array.from({ length: times * args.in.length }, (_, i) => args.in[i % args.in.length]!),
      offsets: Int32Array.from({ length: times + 1 }, (_, b) => b * args.T),
      numerics: 'fast',
    };
    expectClose(run(device, many), (round) => reference(many, 'float32', round));
  });

  test('argmax of sums is refused', () => {
    const { args } = cases.find(({ args }) => args.pooling === 'sum')!;
    expect(() => runWithArgmax(device, args)).toThrow(/argmax is asked of a sum/);
  });
});
