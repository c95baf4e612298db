import { describe, expect, test } from 'vitest';
import { devices, expectClose, runOp, unwritten } from '../support/native-ops';
import { cases, reference, rows as rowsOf, type TopkThresholdArguments } from './topk_threshold.cases';

function run(device: string, args: TopkThresholdArguments) {
  const places = args.B * args.k;
  const out = runOp(device, 'topk_threshold', args, {
    offsets: new Int32Array(args.B + 1).fill(-7),
    terms: new Int32Array(places).fill(-7),
    weights: unwritten(places),
  });
  const rows = Array.from({ length: args.B }, (_, b) => ({
    terms: [...out.terms.subarray(out.offsets[b], out.offsets[b + 1])],
    weights: out.weights.subarray(out.offsets[b], out.offsets[b + 1]),
  }));
  return { ...out, rows };
}

describe.each(devices)('topk_threshold on %s', (device) => {
  test.each(cases)('keeps $name', ({ args }) => {
    const { rows, offsets } = run(device, args);
    expect(offsets[0]).toBe(0);
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

  test('rows lie behind each other, and places beyond the last are left alone', () => {
    const { args } = cases.find(({ name }) => name.includes('ones'))!;
    const { offsets, terms } = run(device, args);
    expect([...offsets]).toEqual([0, 0, 1, 1]);
    expect([...terms]).toEqual([0, -7, -7]);
  });

  test('more rows than a block has threads lie in their order', () => {
    const { args } = rowsOf(
      'many',
      Float32Array.from({ length: 3 * 300 }, (_, i) => (i % 2 === 0 ? 1 + i : -1)),
      3,
    );
    const { rows, offsets } = run(device, args);
    expect(rows.map(({ terms }) => terms)).toEqual(reference(args, (x) => x).map((row) => row.map(([term]) => term)));
    expect(offsets[300]).toBe(450);
  });

  test('a zero is not kept under a negative threshold', () => {
    const { args } = cases.find(({ name }) => name.startsWith('nothing of rows'))!;
    expect([...run(device, { ...args, threshold: -1 }).offsets]).toEqual([0, 0, 0]);
  });
});
