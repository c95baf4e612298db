import { describe, expect, test } from 'vitest';
import { modelNames, readModelFixture } from '../support/fixtures';
import { ReferenceEncoder } from '../support/reference-encoder';

// The expectations are float64 results rounded to float32 (relative error 6e-8); float64 itself adds nothing visible.
const rounding = 2 ** -24;

function largestExcess(actual: Float64Array, expected: Float32Array): number {
  return actual.reduce((worst, value, i) => {
    const error = Math.abs(value - expected[i]!);
    return Math.max(worst, error / (rounding * Math.abs(expected[i]!) + 1e-9));
  }, 0);
}

describe.each(modelNames)('the float64 reference of %s', (name) => {
  const fixture = readModelFixture(name);
  const reference = new ReferenceEncoder(fixture.directory);

  test.each(['max', 'sum', 'log1p_log1p'] as const)('equals PyTorch in float64 with pooling %s', (pooling) => {
    const expected = fixture.expected(`float64.${pooling}`);
    for (const [i, tokens] of fixture.tokens.entries()) {
      expect(largestExcess(reference.sparse(tokens, pooling), expected[i]!), fixture.texts[i]).toBeLessThan(1.01);
    }
  });

  test.each(['mean', 'cls'] as const)('equals PyTorch in float64 in dense mode with pooling %s', (pooling) => {
    for (const normalize of [false, true]) {
      const expected = fixture.expected(`float64.${pooling}${normalize ? '.normalized' : ''}`);
      for (const [i, tokens] of fixture.tokens.entries()) {
        const actual = reference.dense(tokens, { pooling, normalize });
        expect(largestExcess(actual, expected[i]!), fixture.texts[i]).toBeLessThan(1.01);
      }
    }
  });
});
