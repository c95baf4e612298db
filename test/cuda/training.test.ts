import { describe, expect, test } from 'vitest';

import type { NativeTrainerOptions } from '../../lib/native';
import { backends } from '../support/native-ops';
import { createTrainer, distance, norm, readTrainingFixture, weightsOf } from '../train/training-fixture';

const fixture = await readTrainingFixture('bert');
const { objective, update } = fixture.steps;

async function train(device: string, options: Partial<NativeTrainerOptions>) {
  const trainer = await createTrainer(fixture, options, device);
  const losses: number[] = [];
  for (let i = 0; i < 20; i++) losses.push((await trainer.step(fixture.batch, objective, update)).loss);
  const weights = await weightsOf(trainer);
  trainer.dispose();
  return { losses, weights };
}

describe('twenty steps on cuda', () => {
  test('the cuda backend is there, in emulation or on a device', () => {
    expect(backends).toContain('cuda');
  });

  // Dropout draws the same masks on both. Sums are formed in other orders, which Adam enlarges where gradients are
  // small.
  test.each([
    ['float32', 1e-4],
    ['bfloat16', 2e-2],
  ] as const)('are those of the CPU in %s within %s', async (dtype, tolerance) => {
    const options = { dtype, dropout: 0.1, attentionDropout: 0.1, microBatchTokens: 30 };
    const [expected, actual] = [await train('cpu', options), await train('cuda', options)];
    for (const [i, loss] of expected.losses.entries()) {
      expect(Math.abs(actual.losses[i]! - loss)).toBeLessThanOrEqual(tolerance * Math.abs(loss));
    }
    for (const [name, values] of actual.weights) {
      if (name.endsWith('key.bias')) continue; // their gradient is rounding alone
      const reference = expected.weights.get(name)!;
      expect(distance(values, reference), name).toBeLessThanOrEqual(tolerance * norm(reference));
    }
  });

  test('give the same bits every time', async () => {
    const options = { dropout: 0.1, attentionDropout: 0.1 };
    expect(await train('cuda', options)).toEqual(await train('cuda', options));
  });
});
