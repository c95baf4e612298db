import { describe, expect, test } from 'vitest';
import { devices, expectClose, runOp, unwritten } from '../support/native-ops';
import { cases, reference, type VocabularyDistanceArguments } from './vocabulary_distance.cases';

const run = (device: string, args: VocabularyDistanceArguments) =>
  runOp(device, 'vocabulary_distance', args, { value: unwritten(1), d_weights: unwritten(args.B * args.V) });

describe.each(devices)('vocabulary_distance on %s', (device) => {
  test.each(cases)('gives the distance and its scaled gradient: $name', ({ args }) => {
    const out = run(device, args);
    expectClose(out.value, (round) => reference(args, round).value);
    expectClose(out.d_weights, (round) => reference(args, round).d_weights);
  });

  test('a vector like its teacher has no distance, whatever its length for the cosine', () => {
    const teacher = { offsets: Int32Array.of(0, 2), terms: Int32Array.of(1, 3), values: Float32Array.of(1, 2), N: 2 };
    const args = { B: 1, V: 4, scale: 1, ...teacher };
    const run1 = (kind: 'squared' | 'cosine', factor: number) =>
      run(device, { ...args, kind, weights: Float32Array.of(0, factor, 0, 2 * factor) }).value[0];
    expect(run1('squared', 1)).toBe(0);
    expect(run1('cosine', 3)).toBeCloseTo(0, 6);
    expect(run1('squared', 2)).toBe((1 + 4) / 4);
  });
});
