import { describe, expect, test } from 'vitest';
import type { NativeTrainer } from '../../lib/native';
import { backends } from '../support/native-ops';
import {
  byName,
  countOf,
  createTrainer,
  distance,
  encodedTexts,
  norm,
  readTrainingFixture,
  type TrainingFixture,
  trainingModels,
  weightsOf,
} from './training-fixture';

/**
 * Every tensor's gradient within 1e-3 of its norm. A key's bias cancels in the softmax: its gradient is 0 but for rounding,
 * for which 1e-6 of the norm of all gradients is allowed.
 */
function expectGradients(trainer: NativeTrainer, actual: Float32Array, fixture: TrainingFixture, caseName: string) {
  const gradients = byName(trainer, actual);
  const total = norm([...gradients.keys()].flatMap((name) => [...fixture.expected(caseName, name)]));
  expect(total).toBeGreaterThan(0);
  const wrong: string[] = [];
  for (const [name, gradient] of gradients) {
    const expected = fixture.expected(caseName, name);
    expect(gradient.length).toBe(expected.length);
    const [error, size] = [distance(gradient, expected), norm(expected)];
    if (!(error <= 1e-3 * size + 1e-6 * total)) wrong.push(`${name}: error ${error} of ${size}`);
  }
  expect(wrong).toEqual([]);
}

const places = trainingModels.flatMap((model) => backends.map((device) => [model, device] as const));

describe.each(places)('%s on %s', async (model, device) => {
  const fixture = await readTrainingFixture(model);
  const { batch, steps } = fixture;

  test.each(fixture.cases)('loss terms and gradients are those of PyTorch: $name', async (entry) => {
    const { pooling, queryKind, objective, values } = entry;
    const trainer = await createTrainer(fixture, { pooling, queryKind }, device);
    const texts = encodedTexts(batch, queryKind);
    const ids = Int32Array.from({ length: countOf(texts) }, (_, i) => i);
    const report = await trainer.losses(batch, objective, await trainer.encode(texts, ids));
    expect(Object.keys(report.terms).sort()).toEqual(Object.keys(values).sort());
    for (const [term, value] of Object.entries(values)) {
      const { value: seen, weight } = report.terms[term as keyof typeof values]!;
      // Float32 hidden states: a few units of 1e-7 a layer, times the slope of the loss.
      expect(Math.abs(seen - value)).toBeLessThanOrEqual(1e-4 * Math.abs(value));
      expect(weight).toBe(objective.weights[term as keyof typeof values]);
    }
    await trainer.backward(report.gradients);
    expectGradients(trainer, await trainer.gradients(), fixture, entry.name);
    trainer.dispose();
  });

  test('the loss and gradients of masked language modelling are those of PyTorch', async () => {
    const trainer = await createTrainer(fixture, {}, device);
    const still = { ...steps.update, rate: 0, weightDecay: 0 };
    const report = await trainer.stepMaskedLanguageModel({ ...batch.documents, labels: fixture.labels }, still);
    expect(Math.abs(report.loss - fixture.mlm)).toBeLessThanOrEqual(1e-5 * fixture.mlm);
    expect(report.predictions).toBe(fixture.labels.filter((label) => label >= 0).length);
    expectGradients(trainer, await trainer.gradients(), fixture, 'mlm');
    trainer.dispose();
  });

  test('ten steps of AdamW end within 1e-4 of the weights of PyTorch', async () => {
    const trainer = await createTrainer(fixture, {}, device);
    for (const [i, expected] of steps.losses.entries()) {
      const report = await trainer.step(batch, steps.objective, steps.update);
      expect(report.steps).toBe(i + 1);
      expect(Math.abs(report.loss - expected)).toBeLessThanOrEqual(1e-4 * expected);
    }
    for (const [name, values] of await weightsOf(trainer)) {
      const expected = fixture.expected('steps', name);
      // A key's bias has no gradient but rounding, and Adam makes steps of the same size of any gradient.
      if (name.endsWith('key.bias')) continue;
      expect(distance(values, expected), name).toBeLessThanOrEqual(1e-4 * norm(expected));
    }
    trainer.dispose();
  });
});

test('a dense encoder has neither a masked-language-model head nor bag queries', async () => {
  const fixture = await readTrainingFixture('bert');
  const refused = { code: 'ERR_OPTION_VALUE', message: expect.stringContaining('dense encoder') };
  await expect(createTrainer(fixture, { pooling: 'mean', queryKind: 'bag' })).rejects.toMatchObject(refused);
});
