import { describe, expect, test } from 'vitest';
import { devices, expectClose, runOp, unwritten } from '../support/native-ops';
import { cases, isKept, type SparseWeightsArguments, weights } from './sparse_weights.cases';

const run = (device: string, args: SparseWeightsArguments) =>
  runOp(device, 'sparse_weights', args, {
    weights: unwritten(args.B * args.V),
    counts: new Int32Array(args.B).fill(-7),
    frequencies: new Int32Array(args.V).fill(-7),
  });

describe.each(devices)('sparse_weights on %s', (device) => {
  test.each(cases)('activates what is positive and not dropped: $name', ({ args }) => {
    expectClose(run(device, args).weights, (round) => weights(args, round));
  });

  test.each(cases)('counts the terms of each row and the rows of each term: $name', ({ args }) => {
    const { B, V } = args;
    const { counts, frequencies } = run(device, args);
    const kept = Array.from(args.pooled, (_, i) => +isKept(args, i));
    const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
    const row = (b: number) => kept.slice(b * V, (b + 1) * V);
    expect([...counts]).toEqual(Array.from({ length: B }, (_, b) => sum(row(b))));
    expect([...frequencies]).toEqual(Array.from({ length: V }, (_, v) => sum(kept.filter((_, i) => i % V === v))));
  });

  test('weights have the bits that topk_threshold gives', () => {
    for (const { args } of cases) {
      const { B, V } = args;
      const k = Math.max(V, 1);
      const sparse = runOp(
        device,
        'topk_threshold',
        { ...args, k, threshold: 0 },
        {
          offsets: new Int32Array(B + 1),
          terms: new Int32Array(B * k),
          weights: new Float32Array(B * k),
        },
      );
      const dense = new Float32Array(B * V);
      for (let b = 0; b < B; b++) {
        for (let i = sparse.offsets[b]!; i < sparse.offsets[b + 1]!; i++) {
          dense[b * V + sparse.terms[i]!] = sparse.weights[i]!;
        }
      }
      expect(run(device, args).weights).toEqual(dense);
    }
  });
});
