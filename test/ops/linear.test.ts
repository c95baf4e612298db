import { describe, expect, test } from 'vitest';
import { type DataType, dataTypesOf } from '../support/data-types';
import { devices, expectClose, rowsStandAlone, runOp, unwritten } from '../support/native-ops';
import { cases, type LinearArguments, reference } from './linear.cases';

const run = (device: string, args: LinearArguments, dtype: DataType = 'float32') =>
  runOp(device, 'linear', { ...args, dtype }, { out: unwritten(args.T * args.N) }).out;

describe.each(devices)('linear on %s', (device) => {
  const typed = dataTypesOf(device).flatMap((dtype) => cases.map((one) => ({ ...one, dtype })));

  test.each(typed)('computes $name in $dtype', ({ args, dtype }) => {
    // The approximation of the normal distribution is within 6e-8, and rounding on its way doubles that where it is not
    // 0 or 1, which is for |x| below 5.6; the factor is x.
    const extra = args.activation === 'gelu' ? 5.6 * 1.2e-7 : 0;
    expectClose(run(device, args, dtype), (round) => reference(args, dtype, round), extra);
  });

  test.skipIf(!rowsStandAlone(device)).each(dataTypesOf(device))(
    'a row of a batch has the bits of the same row alone in %s',
    (dtype) => {
      for (const { args } of cases) {
        const together = run(device, args, dtype);
        // Of many rows some: a step that meets every place in a tile.
        for (let t = 0; t < args.T; t += args.T > 100 ? 37 : 1) {
          const own = {
            in: args.in.subarray(t * args.K, (t + 1) * args.K),
            residual: args.residual?.subarray(t * args.N, (t + 1) * args.N) ?? null,
          };
          const alone = run(device, { ...args, T: 1, ...own }, dtype);
          expect(alone).toEqual(together.subarray(t * args.N, (t + 1) * args.N));
        }
      }
    },
  );

  test('fast numerics are as exact, whatever the sizes of the operands', () => {
    const { args } = cases.find(({ args }) => args.T === 150)!;
    // From 2^-20 to 2^20, and 0.
    const spread = (x: Float32Array) => x.map((value, i) => (i % 7 === 0 ? 0 : value * 2 ** ((i % 41) - 20)));
    for (const given of [args, { ...args, in: spread(args.in), residual: null, activation: 'none' as const }]) {
      const out = run(device, { ...given, numerics: 'fast' });
      expectClose(out, (round) => reference(given, 'float32', round), given === args ? 5.6 * 1.2e-7 : 0);
    }
  });

  if (device.startsWith('cpu')) {
    test('int16 has room for the largest sums, of rows that are alike', () => {
      const K = 4000;
      const same = (factor: number) => new Float32Array(K).fill(factor);
      const single = new Float32Array(K);
      single[17] = -8;
      const [input, weight] = [Float32Array.of(...same(3), ...single), Float32Array.of(...same(-5), ...single)];
      const args = { T: 2, N: 2, K, activation: 'none' as const, in: input, weight, bias: null, residual: null };
      const expected = [-15 * K, -24, 40, 64];
      // Each value may be off by half a step, which is the row's norm / 32767 or a sixteenth more.
      const norms = [Math.sqrt(K) * 3, 8].flatMap((x) => [Math.sqrt(K) * 5, 8].map((w) => x * w));
      const error = norms.map((norm) => norm * Math.sqrt(K) * (17 / 16 / 32767));
      for (const [i, value] of run(device, args, 'int16').entries())
        expect(Math.abs(value - expected[i]!)).toBeLessThanOrEqual(error[i]!);
    });

    test('int16 takes a row of values whose squares vanish as 0', () => {
      const K = 4000;
      const input = new Float32Array(K).fill(2e-23);
      input[17] = 4.5e-23;
      const args = { T: 1, N: 1, K, activation: 'none' as const, in: input, weight: new Float32Array(K).fill(1) };
      expect(run(device, { ...args, bias: null, residual: null }, 'int16')[0]).toBe(0);
    });

    test('int16 gives no number for a row that has a value which is none', () => {
      const input = Float32Array.of(1, 2, 3, Number.NaN, 2, 3, 1, Number.POSITIVE_INFINITY, 3, 0, 0, 0);
      const args = { T: 4, N: 1, K: 3, activation: 'none' as const, in: input, weight: Float32Array.of(1, 1, 1) };
      const out = run(device, { ...args, bias: null, residual: null }, 'int16');
      expect(Array.from(out, Number.isFinite)).toEqual([true, false, false, true]);
      expect(out[0]).toBeCloseTo(6, 2);
      expect(out[3]).toBe(0);
    });
  }

  test.each(['gelu', 'gelu_new', 'relu'] as const)('%s is 0 far below 0 and x far above it', (activation) => {
    const args = { T: 4, N: 1, K: 1, activation, in: Float32Array.of(-100, -15, 15, 100), weight: Float32Array.of(1) };
    const out = run(device, { ...args, bias: null, residual: null });
    // exp is cut at -87, so that e^-87 times the input stands for what float32 has no number for.
    for (const [i, x] of [0, 0, 15, 100].entries()) expect(Math.abs(out[i]! - x)).toBeLessThan(1e-35);
  });
});
