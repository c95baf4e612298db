import { expect, test } from 'vitest';
import { rateFactor, stepsOf } from '../../lib/train/schedule';

const factors = (shape: 'linear' | 'cosine' | 'constant', warmup: number, steps: number) =>
  Array.from({ length: steps }, (_, i) => rateFactor(shape, i + 1, warmup, steps));

test('the rate rises in a line to its height at the end of the warm-up, then falls in a line', () => {
  expect(factors('linear', 4, 9)).toEqual([0.25, 0.5, 0.75, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]);
});

test('no step of a run has the rate 0', () => {
  for (const shape of ['linear', 'cosine'] as const) {
    for (const [warmup, steps] of [
      [0, 1],
      [1, 1],
      [0, 5],
      [5, 5],
      [7, 5],
    ] as const) {
      expect(Math.min(...factors(shape, warmup, steps))).toBeGreaterThan(0);
    }
  }
});

test('a constant rate stays at its height, a cosine is half way down in the middle', () => {
  expect(factors('constant', 2, 4)).toEqual([0.5, 1, 1, 1]);
  expect(rateFactor('cosine', 50, 0, 99)).toBeCloseTo(0.5, 12);
});

test('a number below 1 is a share of the run', () => {
  expect([stepsOf(0.1, 2000), stepsOf(100, 2000), stepsOf(0, 2000), stepsOf(1, 2000)]).toEqual([200, 100, 0, 1]);
});
