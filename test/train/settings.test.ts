import { describe, expect, test } from 'vitest';
import { makeConfig, type TrainConfigChanges } from '../../lib/train/config';
import { objectiveOf, updateOf } from '../../lib/train/objective';

/** What the core is told of a configuration: no key may be lost on the way. */
const configOf = (changes: TrainConfigChanges) => makeConfig(undefined, { source: 'the test', changes });
const LAMBDAS = { documents: 0.125, queries: 0.25 };

describe('the objective', () => {
  test('has every weight and setting of the loss, and the lambdas of the step', () => {
    const config = configOf({
      loss: {
        infoNce: 2,
        temperature: 0.5,
        similarity: 'cos',
        negatives: 'own',
        flops: { norm: 'l1', documents: 9, queries: 9, maskTerms: 7 },
        antiCollapse: { weight: 3, terms: 5, margin: 0.75 },
        antiZero: 4,
        distillation: {
          kl: 5,
          ranking: 6,
          marginMse: 7,
          vocabulary: 8,
          temperature: 1.5,
          teacherTemperature: 0.05,
          teacher: 't',
        },
      },
    });
    const termWeights = Float32Array.of(1, 2);
    expect(objectiveOf(config, LAMBDAS, termWeights)).toEqual({
      weights: {
        infoNCE: 2,
        flopsDocuments: 0.125,
        flopsQueries: 0.25,
        antiCollapse: 3,
        antiZero: 4,
        marginMSE: 7,
        klDivergence: 5,
        ranking: 6,
        vocabularyMSE: 8,
      },
      similarity: 'cos',
      negatives: 'own',
      temperature: 0.5,
      distillationTemperature: 1.5,
      teacherTemperature: 0.05,
      flopsDocuments: { norm: 'L1', minimumTerms: 7, termWeights },
      flopsQueries: { norm: 'L1', minimumTerms: 0 },
      antiCollapse: { k: 5, margin: 0.75 },
    });
  });

  test('takes the one temperature for the teacher too, squares, and the cosine where these are asked for', () => {
    const distillation = { vocabulary: 8, vocabularyLoss: 'cosine', temperature: 1.5, teacher: 't' } as const;
    const objective = objectiveOf(configOf({ loss: { distillation } }), LAMBDAS);
    expect(objective.weights).toMatchObject({ vocabularyCosine: 8 });
    expect(objective.weights.vocabularyMSE).toBeUndefined();
    expect(objective).toMatchObject({ teacherTemperature: 1.5, similarity: 'dot', negatives: 'all' });
    expect(objective.flopsDocuments).toEqual({ norm: 'L2', minimumTerms: 0 });
  });
});

describe('AdamW', () => {
  const optimizer = { rate: 1, schedule: 'linear', warmup: 4, weightDecay: 0.2, beta1: 0.8, beta2: 0.9 } as const;

  test('has every setting of the optimizer', () => {
    const config = configOf({ optimizer: { ...optimizer, epsilon: 1e-6, clip: 0.5 } });
    expect(updateOf(config, 4, 9)).toEqual({
      rate: 1,
      weightDecay: 0.2,
      beta1: 0.8,
      beta2: 0.9,
      epsilon: 1e-6,
      clip: 0.5,
    });
  });

  test.each([
    ['linear', [0.25, 0.5, 0.75, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]],
    ['constant', [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1]],
  ] as const)('has the rate of the step (%s)', (schedule, rates) => {
    const config = configOf({ optimizer: { ...optimizer, schedule } });
    expect(rates.map((_, i) => updateOf(config, i + 1, 9).rate)).toEqual(rates);
  });

  test('warms up for a share of the run', () => {
    const config = configOf({ optimizer: { ...optimizer, warmup: 0.5 } });
    expect(updateOf(config, 1, 20).rate).toBeCloseTo(0.1, 12);
    expect(updateOf(config, 10, 20).rate).toBe(1);
  });
});
