import { describe, expect, test } from 'vitest';
import { devices, expectClose, runOp, unwritten } from '../support/native-ops';
import { cases, reference, type TopkThresholdArguments } from './topk_threshold.cases';

function run(device: string, args: TopkThresholdArguments) {
  const places = args.B * args.k;
  const out = runOp(device, 'topk_threshold', args, {
    counts: new Int32Array(args.B).fill(-7),
    terms: new Int32Array(places).fill(-7),
    weights: unwritten(places),
  });
  const rows = Array.from(out.counts, (count, b) => ({
    terms: [...out.terms.subarray(b * args.k, b * args.k + count)],
    weights: out.weights.subarray(b * args.k, b * args.k + count),
  }));
  return { ...out, rows };
}

describe.each(devices)('topk_threshold on %s', (device) => {
  test.each(cases)('keeps $name', ({ args }) => {
    const { rows } = run(device, args);
    const expected = reference(args, (x) => x);
    expect(rows.map(({ terms }) => terms)).toEqual(expected.map((row) => row.map(([term]) => term)));
    for (const [b, { weights }] of rows.entries()) {
      expectClose(weights, (round) => reference(args, round)[b]!.map(([, weight]) => weight));
    }
  });

  test('weights are exact to a unit in the last place where log1p has lost none', () => {
    const { args } = cases.find(({ name }) => name.includes('tiny'))!;
    const [row] = run(device, args).rows;
    for (const [i, x] of args.pooled.entries()) {
      expect(Math.abs(row!.weights[i]! / Math.log1p(x) - 1)).toBeLessThanOrEqual(2 ** -23);
    }
  });

  test('places beyond the count of a row are left alone', () => {
    const { args } = cases.find(({ name }) => name.includes('ones'))!;
    const { counts, terms } = run(device, args);
    expect([...counts]).toEqual([0, 1, 0]);
    expect([...terms]).toEqual([-7, 0, -7]);
  });

  test('a zero is not kept under a negative threshold', () => {
    const { args } = cases.find(({ name }) => name.startsWith('nothing of rows'))!;
    expect([...run(device, { ...args, threshold: -1 }).counts]).toEqual([0, 0]);
  });
});
