import { describe, expect, test } from 'vitest';
import { native } from '../../lib/native';
import { devices, expectClose, randomFloats, runOp, unwritten } from '../support/native-ops';
import { cases, type DropoutArguments, dropout, reference } from './dropout.cases';

const run = (device: string, args: DropoutArguments) =>
  runOp(device, 'dropout', args, { out: unwritten(args.T * args.C) }).out;

/** Dropout of ones: 0 or the scale of a kept value. */
function mask(device: string, lengths: number[], C: number, p: number, change: Partial<DropoutArguments> = {}) {
  const { args } = dropout('ones', lengths, C, { p, withResidual: false });
  return run(device, { ...args, in: new Float32Array(args.T * C).fill(1), ...change });
}

describe.each(devices)('dropout on %s', (device) => {
  test.each(cases)('drops what the reference drops and adds the residual: $name', ({ args }) => {
    expectClose(run(device, args), (round) => reference(args, round));
  });

  test.each([0.1, 0.5, 0.9])('keeps a share of 1 - %f, each of the 8 draws of a block likewise, and the mean', (p) => {
    const values = mask(device, [250, 0, 250], 768, p);
    const scales = new Set(values);
    expect(scales.size).toBe(2);
    // Of n draws the share kept has the standard deviation sqrt(p (1 - p) / n); 5 of them happen once in 1.7 million.
    const tolerance = (n: number) => 5 * Math.sqrt((p * (1 - p)) / n);
    for (let draw = 0; draw < 8; draw++) {
      const kept = values.filter((value, i) => i % 8 === draw && value !== 0).length;
      const n = values.length / 8;
      expect(Math.abs(kept / n - (1 - p))).toBeLessThan(tolerance(n));
    }
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(Math.abs(mean - 1)).toBeLessThan(tolerance(values.length) / (1 - p));
  });

  test('the mask of a text does not depend on what shares its batch', () => {
    const lengths = [3, 0, 17, 40, 1];
    const ids = Int32Array.of(7, 8, 9, 10, 11);
    const together = mask(device, lengths, 13, 0.3, { text_ids: ids });
    const alone = lengths.flatMap((length, b) => [
      ...mask(device, [length], 13, 0.3, { text_ids: ids.slice(b, b + 1) }),
    ]);
    const backwards = mask(device, lengths.toReversed(), 13, 0.3, { text_ids: ids.toReversed() });
    expect(alone).toEqual([...together]);
    expect([...backwards.subarray(0, 13)]).toEqual([...together.subarray(-13)]);
  });

  test('another seed and another text draw another mask', () => {
    const masks = [
      mask(device, [20], 20, 0.5, { seed: 1, text_ids: Int32Array.of(1) }),
      mask(device, [20], 20, 0.5, { seed: 2, text_ids: Int32Array.of(1) }),
      mask(device, [20], 20, 0.5, { seed: 1, text_ids: Int32Array.of(2) }),
    ].map(String);
    expect(new Set(masks).size).toBe(3);
  });

  test('its backward pass is itself: what is dropped has no gradient', () => {
    const { args } = dropout('gradient', [6, 30], 33, { p: 0.4, withResidual: false });
    const gradient = randomFloats(args.T * args.C, 5);
    const factors = mask(device, [6, 30], 33, 0.4);
    const back = run(device, { ...args, in: gradient });
    expect(back).toEqual(gradient.map((g, i) => g * factors[i]! + 0));
  });

  test('a dropped value that is no number is dropped all the same', () => {
    const values = mask(device, [9], 8, 0.5, { in: new Float32Array(72).fill(Number.NaN) });
    expect(values.some((value) => value === 0)).toBe(true);
  });

  test('a probability outside 0..1 and texts without numbers are refused', () => {
    const { args } = cases[2]!;
    const refused = (change: object) =>
      expect(() => native.runOp(device, 'dropout', { ...args, out: unwritten(args.T * args.C), ...change })).toThrow(
        expect.objectContaining({ code: 'ERR_ARGUMENT_VALUE' }),
      );
    for (const p of [-0.1, 1, 2, Number.NaN]) refused({ dropout: p });
    refused({ text_ids: null });
    refused({ seed: -1 });
    native.runOp(device, 'dropout', { ...args, out: unwritten(args.T * args.C), dropout: 0, text_ids: null });
  });
});
